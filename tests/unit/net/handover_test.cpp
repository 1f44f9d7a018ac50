// Listeners that go from one process to the next. The successors here are shell scripts, which see what any program sees.

#include "runnel/net/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "support/death.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

successor_options shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"sh", "-c", script}};
}

listener some_listener() { return *listen("tcp", "127.0.0.1:0"); }

int status_of(pid_t child) {
  int status = -1;
  blocking([&] { waitpid(child, &status, 0); });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr const char* says_ready = "echo READY=1 >&$RUNNEL_READY_FD; ";

TEST(start_successor, gives_the_listeners_and_says_which) {
  run([] {
    listener a = some_listener(), b = some_listener();
    setenv("LISTEN_FDS", "7", 1);  // of this process: not the next one's
    auto how = shell(std::string(says_ready) +
                     "test $LISTEN_PID = $$ -a $LISTEN_FDS = 2 -a $LISTEN_FDNAMES = http:unknown "
                     "-a $MORE = yes -a -S /proc/$$/fd/3 -a -S /proc/$$/fd/4");
    how.environment = {"MORE=yes"};
    auto child = start_successor(background(), {{"http", a}, {"", b}}, how);
    unsetenv("LISTEN_FDS");
    ASSERT_TRUE(child) << child.error().message();
    EXPECT_EQ(status_of(*child), 0);
  });
}

TEST(start_successor, gives_the_very_sockets) {
  run([] {
    listener on = some_listener();
    // The test's own program, which knows how to accept: here the shell keeps the socket open.
    auto child = start_successor(background(), {{"http", on}},
                                 shell(std::string(says_ready) + "kill -STOP $$"));
    ASSERT_TRUE(child);
    std::string address = on.addr().to_string();
    on.close();
    EXPECT_TRUE(dial("tcp", address));  // the backlog is there still
    kill(*child, SIGKILL);
    status_of(*child);
    EXPECT_FALSE(dial("tcp", address));
  });
}

TEST(start_successor, says_how_one_ended_that_was_not_ready) {
  run([] {
    auto child = start_successor(background(), {}, shell("exit 3"));
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error(), errc::not_ready);
    EXPECT_EQ(child.error().message(), "start /bin/sh (exit status 3): ended before it was ready");
    child = start_successor(background(), {}, shell("kill -KILL $$"));
    EXPECT_EQ(child.error().message(), "start /bin/sh (signal 9): ended before it was ready");
  });
}

TEST(start_successor, ends_one_that_closes_the_pipe_without_being_ready) {
  run([] {
    auto child = start_successor(background(), {}, shell("exec 3>&-; exec sleep 1000"));
    EXPECT_EQ(child.error().message(), "start /bin/sh (signal 9): ended before it was ready");
  });
}

TEST(start_successor, says_why_a_program_cannot_be_executed) {
  run([] {
    auto child = start_successor(background(), {}, {.program = "/nowhere", .arguments = {"x"}});
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(child.error().message(), "start /nowhere: No such file or directory");
  });
}

TEST(start_successor, ends_one_that_takes_too_long) {
  run([] {
    auto [late, cancel] = with_timeout(background(), 50ms);
    auto child = start_successor(late, {}, shell("exec sleep 1000"));
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error(), errc::timed_out);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);  // no child is left
    cancel();
    auto [gone, cancel_now] = with_cancel(background());
    cancel_now();
    child = start_successor(gone, {}, shell("exec sleep 1000"));
    EXPECT_EQ(child.error(), errc::canceled);
  });
}

TEST(start_successor, leaves_it_the_path_of_a_unix_socket) {
  run([] {
    std::string path = testing::TempDir() + "handover" + std::to_string(getpid());
    auto on = listen("unix", path);
    ASSERT_TRUE(on) << on.error().message();
    EXPECT_FALSE(start_successor(background(), {{"", *on}}, shell("exit 1")));
    auto child = start_successor(background(), {{"", *on}}, shell(says_ready));
    ASSERT_TRUE(child);
    status_of(*child);
    on->close();
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
    auto again = listen("unix", path);
    unlink(path.c_str());
  });
}

TEST(start_successor, leaves_no_descriptor_behind) {
  run([] {
    auto lowest = [] {
      int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
      close(fd);
      return fd;
    };
    std::ignore = start_successor(background(), {}, shell("exit 1"));
    int before = lowest();
    for (int i = 0; i < 5; ++i) {
      std::ignore = start_successor(background(), {}, shell("exit 1"));
      auto child = start_successor(background(), {}, shell(says_ready));
      ASSERT_TRUE(child);
      status_of(*child);
    }
    EXPECT_EQ(lowest(), before);
  });
}

class inherited : public test::in_own_process {
 protected:
  // Not by the runtime, whose own descriptors would be in the way.
  static int raw_listener() {
    int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    ::listen(fd, 1);
    return fd;
  }
  // As a process that was started with these.
  static void given(std::initializer_list<int> descriptors, const char* names, pid_t whose) {
    int high[8];
    int n = 0;
    for (int fd : descriptors) high[n++] = fcntl(fd, F_DUPFD, 100);
    for (int i = 0; i < n; ++i) dup2(high[i], 3 + i);
    setenv("LISTEN_FDS", std::to_string(n).c_str(), 1);
    setenv("LISTEN_PID", std::to_string(whose).c_str(), 1);
    setenv("LISTEN_FDNAMES", names, 1);
  }
};

endpoint address_of(int fd) {
  sockaddr_storage address;
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  return getsockname(fd, any, &size) == 0 ? endpoint(any, size) : endpoint();
}

[[noreturn]] void check_three(const endpoint (&addresses)[3]) {
  run([&] {
    auto all = inherited_listeners();
    bool good = all && all->size() == 3 && (*all)[0].name == "http" &&
                (*all)[1].name == "unknown" && (*all)[2].name == "x";
    for (std::size_t i = 0; good && i < 3; ++i) {
      good = (*all)[i].on.addr() == addresses[i];
    }
    auto client = dial("tcp", (*all)[0].on.addr().to_string());
    test::finish(good && (*all)[0].on.accept() && std::getenv("LISTEN_FDS") == nullptr &&
                 inherited_listeners()->empty() &&
                 (fcntl((*all)[0].on.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  });
  test::finish(false);
}

TEST_F(inherited, listeners_have_their_names_and_are_taken_once) {
  int sources[3];
  endpoint addresses[3];
  for (std::size_t i = 0; i < 3; ++i) {
    sources[i] = raw_listener();
    addresses[i] = address_of(sources[i]);
  }
  EXPECT_EXIT(
      {
        given({sources[0], sources[1], sources[2]}, "http::x", getpid());
        check_three(addresses);
      },
      test::succeeds, "");
}

TEST_F(inherited, listeners_of_another_process_are_left_alone) {
  EXPECT_EXIT(
      {
        given({raw_listener()}, "x", getpid() + 1);
        run([] {
          auto all = inherited_listeners();
          test::finish(all && all->empty() && fcntl(3, F_GETFD) >= 0);
        });
      },
      test::succeeds, "");
}

TEST_F(inherited, descriptors_that_do_not_listen_are_an_error) {
  EXPECT_EXIT(
      {
        given({open("/dev/null", O_RDONLY)}, "x", getpid());
        run([] {
          auto all = inherited_listeners();
          test::finish(!all && all.error() == std::errc::not_a_socket);
        });
      },
      test::succeeds, "");
}

TEST_F(inherited, pipe_hears_once_that_the_successor_is_ready) {
  EXPECT_EXIT(
      {
        int ends[2];
        if (pipe(ends) != 0) test::finish(false);
        setenv("RUNNEL_READY_FD", std::to_string(ends[1]).c_str(), 1);
        tell_predecessor();
        tell_predecessor();
        char text[64];
        ssize_t n = read(ends[0], text, sizeof text);
        test::finish(std::string_view(text, static_cast<std::size_t>(n)) == "READY=1\n" &&
                     read(ends[0], text, sizeof text) == 0);
      },
      test::succeeds, "");
}

}  // namespace
}  // namespace runnel::net
