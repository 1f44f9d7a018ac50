// Runs a program and catches what it says.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace program_test {

// A directory that vanishes with the test.
class temporary_directory {
 public:
  temporary_directory() {
    std::string name = std::filesystem::temp_directory_path() / "runnel-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), name);
    }
    path_ = name;
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  // Writes a file, and the directories it is in.
  std::filesystem::path write(const std::filesystem::path& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream out(file, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
    return file;
  }

 private:
  std::filesystem::path path_;
};

struct outcome {
  int status = -1;  // of its exit
  int signal = 0;   // that ended it
  std::string out;
  std::string err;
};

inline std::string contents(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

// Runs a program to its end, but not for more than a few minutes. prepare() is called in the child
// before the program takes its place; standard output and error can be put elsewhere there. If it
// returns anything but 0, that is the exit status and the program is not run.
inline outcome run_program(const std::string& file, std::vector<std::string> arguments,
                           const std::function<int()>& prepare = nullptr) {
  constexpr unsigned patience_s = 300;
  const temporary_directory said;
  const std::string out = said.path() / "out";
  const std::string err = said.path() / "err";
  arguments.insert(arguments.begin(), file);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    // Open by now, so that it is found even by a user who may not look where it lies.
    const int program = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int to_out = open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    const int to_err = open(err.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (dup2(null, 0) < 0 || dup2(to_out, 1) < 0 || dup2(to_err, 2) < 0) _exit(126);
    alarm(patience_s);
    if (prepare != nullptr) {
      if (const int status = prepare(); status != 0) _exit(status);
    }
    fexecve(program, argv.data(), environ);
    dprintf(2, "cannot run %s: %s\n", file.c_str(), std::strerror(errno));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  outcome result;
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.out = contents(out);
  result.err = contents(err);
  return result;
}

}  // namespace program_test
