// Looks at one place of the file system at a time; how to get around the tree is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wordfreq {

struct directory_listing {
  std::vector<std::string> files;        // paths of regular files
  std::vector<std::string> directories;  // paths
  std::uint64_t skipped = 0;             // symbolic links, pipes, sockets, devices: never opened
};

// Lists a directory, "." and ".." left out. Returns 0 or an errno value, and then what was listed
// by then stays in `found`.
int list_directory(const std::string& path, directory_listing& found);

// The same for a path the user named: a directory or a file becomes the listing's only entry.
// Here, and only here, a symbolic link is followed.
int look_at(const std::string& path, directory_listing& found);

}  // namespace wordfreq
