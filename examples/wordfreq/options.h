// The command line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace wordfreq {

struct options {
  std::vector<std::string> roots;  // directories and files to count
  std::size_t top = 20;            // words to print
  int jobs = 0;                    // files counted at the same time; 0: the program's own choice
  bool progress = false;
};

struct parsed_options {
  options given;
  std::optional<int> exit_status;  // set: nothing to do, help was given or an error reported
};

// `jobs_default` says in the help what the program chooses.
parsed_options parse_options(int argc, char** argv, const char* jobs_default);

}  // namespace wordfreq
