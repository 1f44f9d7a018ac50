// Listeners from a process to the next one.
//
// The child of the fork runs with the memory of a process whose other threads are gone: between fork and exec it only makes
// system calls, on what was prepared before.

#include "runnel/net/handover.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "net/errors.h"
#include "runnel/go.h"
#include "runnel/net/fd_wait.h"
#include "runnel/select.h"

namespace runnel::net {
namespace {

constexpr int first_descriptor = 3;
constexpr std::string_view ready_word = "READY=1\n";
constexpr std::string_view exec_word = "ERRNO=";
constexpr std::size_t number_width = 10;

std::optional<int> number_in(const char* variable) noexcept {
  const char* text = std::getenv(variable);
  if (text == nullptr) return {};
  int value = 0;
  auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0') return {};
  return value;
}

// Consumes them, so that no other process takes what is meant for this one.
void forget_variables() noexcept {
  for (const char* one : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) unsetenv(one);
}

std::vector<std::string> arguments_of_this_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string all(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string> list;
  for (std::size_t at = 0; at < all.size(); at += list.back().size() + 1) {
    list.emplace_back(all.c_str() + at);
  }
  return list;
}

std::string file_of_this_process() {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  std::string_view found(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  constexpr std::string_view gone = " (deleted)";  // another one lies there now
  if (found.ends_with(gone)) found.remove_suffix(gone.size());
  return std::string(found);
}

bool is_variable(std::string_view entry, std::string_view name) noexcept {
  return entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=';
}

// What exec takes.
class image {
 public:
  image(std::span<const named_listener> listeners, const successor_options& how)
      : arguments_(how.arguments.empty() ? arguments_of_this_process() : how.arguments),
        program_(how.program),
        count_(static_cast<int>(listeners.size())) {
    if (program_.empty() && !arguments_.empty()) program_ = arguments_[0];
    if (program_.find('/') == std::string::npos && how.program.empty()) {
      program_ = file_of_this_process();
    }
    make_environment(listeners, how);
    for (std::string& one : arguments_) argv_.push_back(one.data());
    argv_.push_back(nullptr);
    for (std::string& one : environment_) envp_.push_back(one.data());
    envp_.push_back(nullptr);
    for (const named_listener& one : listeners) sources_.push_back(one.on.fd());
    sources_.push_back(-1);
  }

  const std::string& program() const noexcept { return program_; }

  // In the child. `ready` is the end that it keeps.
  [[noreturn]] void become(int ready) noexcept {
    sources_.back() = ready;
    int error = place_descriptors();
    if (error == 0) {
      write_own_pid();
      execve(program_.c_str(), argv_.data(), envp_.data());
      error = errno;
    }
    char text[32];
    std::memcpy(text, exec_word.data(), exec_word.size());
    char* end = std::to_chars(text + exec_word.size(), std::end(text), error).ptr;
    [[maybe_unused]] ssize_t n = write(sources_.back(), text, static_cast<std::size_t>(end - text));
    _exit(127);
  }

 private:
  void make_environment(std::span<const named_listener> listeners, const successor_options& how) {
    for (char** one = environ; *one != nullptr; ++one) {
      std::string_view entry = *one;
      bool replaced = is_variable(entry, "LISTEN_FDS") || is_variable(entry, "LISTEN_PID") ||
                      is_variable(entry, "LISTEN_FDNAMES") || is_variable(entry, "RUNNEL_READY_FD");
      for (const std::string& other : how.environment) {
        replaced =
            replaced || is_variable(entry, std::string_view(other).substr(0, other.find('=')));
      }
      if (is_variable(entry, "WATCHDOG_PID")) {
        watchdog_ = true;
        replaced = true;
      }
      if (!replaced) environment_.emplace_back(entry);
    }
    environment_.insert(environment_.end(), how.environment.begin(), how.environment.end());
    std::string names = "LISTEN_FDNAMES=";
    for (const named_listener& one : listeners) {
      if (&one != listeners.data()) names += ':';
      names += one.name.empty() ? "unknown" : one.name;
    }
    environment_.push_back(std::move(names));
    environment_.push_back("LISTEN_FDS=" + std::to_string(count_));
    environment_.push_back("RUNNEL_READY_FD=" + std::to_string(first_descriptor + count_));
    if (watchdog_) environment_.push_back("WATCHDOG_PID=" + std::string(number_width, '0'));
    environment_.push_back("LISTEN_PID=" + std::string(number_width, '0'));
  }

  void write_own_pid() noexcept {
    char digits[number_width + 1];
    auto end = std::to_chars(digits, std::end(digits), getpid()).ptr;
    auto size = static_cast<std::size_t>(end - digits);
    for (std::size_t i = 0; i < (watchdog_ ? 2u : 1u); ++i) {
      std::string& entry = environment_[environment_.size() - 1 - i];
      char* to = entry.data() + entry.size() - number_width;
      std::memcpy(to, digits, size);
      to[size] = '\0';
    }
  }

  // First out of the way of where they go.
  int place_descriptors() noexcept {
    int n = count_ + 1;
    for (int& one : sources_) {
      int moved = fcntl(one, F_DUPFD_CLOEXEC, first_descriptor + n);
      if (moved < 0) return errno;
      one = moved;
    }
    for (int i = 0; i < n; ++i) {
      if (dup2(sources_[static_cast<std::size_t>(i)], first_descriptor + i) < 0) return errno;
    }
    return 0;
  }

  std::vector<std::string> arguments_;
  std::string program_;
  int count_;
  bool watchdog_ = false;
  std::vector<std::string> environment_;  // the last ones are for the child's number
  std::vector<char*> argv_;
  std::vector<char*> envp_;
  std::vector<int> sources_;  // the listeners, and the pipe
};

// What the child says, until it has said enough or its end is closed.
std::string hear(int fd) {
  std::string all;
  while (!all.ends_with('\n')) {
    if (fd_wait(fd, fd_event::readable)) break;
    char piece[64];
    ssize_t n = read(fd, piece, sizeof piece);
    if (n < 0 && errno_ref() == EINTR) continue;
    if (n <= 0) break;
    all.append(piece, static_cast<std::size_t>(n));
  }
  return all;
}

// "exit status 1", "signal 9"
std::string reap(pid_t child) {
  int status = 0;
  pid_t got = blocking([&] {
    pid_t r;
    do r = waitpid(child, &status, 0);
    while (r < 0 && errno_ref() == EINTR);
    return r;
  });
  if (got != child) return "ended";  // the program ignores SIGCHLD, or waits for all
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

result<std::vector<named_listener>> inherited_listeners() {
  std::vector<named_listener> all;
  auto count = number_in("LISTEN_FDS");
  auto pid = number_in("LISTEN_PID");
  if (!count || !pid || *pid != getpid()) return all;
  std::string names;
  if (const char* text = std::getenv("LISTEN_FDNAMES")) names = text;
  forget_variables();
  for (int i = 0; i < *count; ++i) {
    auto on = listener::from_fd(first_descriptor + i);
    if (!on) {
      std::string which = "descriptor " + std::to_string(first_descriptor + i);
      return std::unexpected(error_of("inherit", which, without_operation(on.error())));
    }
    std::size_t end = std::min(names.find(':'), names.size());
    std::string name = names.substr(0, end);
    names.erase(0, end + 1);
    all.push_back({name.empty() ? "unknown" : std::move(name), std::move(*on)});
  }
  return all;
}

result<pid_t> start_successor(const context& ctx, std::span<const named_listener> listeners,
                              const successor_options& how) {
  image next(listeners, how);
  auto failed = [&](failure why, const std::string& what = {}) {
    return std::unexpected(
        error_of("start", next.program() + (what.empty() ? "" : " (" + what + ")"), why));
  };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(failure::of(errno_ref()));
  struct closing {
    int fd;
    ~closing() { ::close(fd); }
  };
  auto from = std::make_shared<closing>(ends[0]);
  pid_t child = blocking([&] {
    pid_t made = fork();
    if (made == 0) next.become(ends[1]);
    return made;
  });
  int error = child < 0 ? errno_ref() : 0;
  ::close(ends[1]);
  if (child < 0) return failed(failure::of(error));

  auto heard = make_chan<std::string>(1);
  go([from = std::move(from), heard]() mutable {
    std::string all = hear(from->fd);
    from.reset();  // before anybody goes on
    heard.send(std::move(all));
  });
  std::optional<std::string> said;
  if (select(recv(heard, said), recv(ctx.done())) == 1) {
    kill(child, SIGKILL);
    reap(child);
    return failed(failure::of(ctx.err() == context_errc::deadline_exceeded ? errc::timed_out
                                                                           : errc::canceled));
  }
  if (*said == ready_word) {
    for (const named_listener& one : listeners) one.on.set_unlink_on_close(false);
    return child;
  }
  if (said->starts_with(exec_word)) {
    reap(child);
    return failed(failure::of(std::atoi(said->c_str() + exec_word.size())));
  }
  // It has closed its end; mostly because it has ended.
  kill(child, SIGKILL);
  return failed(failure::of(errc::not_ready), reap(child));
}

void tell_predecessor() {
  auto fd = number_in("RUNNEL_READY_FD");
  if (!fd) return;
  unsetenv("RUNNEL_READY_FD");
  [[maybe_unused]] ssize_t n = write(*fd, ready_word.data(), ready_word.size());
  ::close(*fd);
}

}  // namespace runnel::net
