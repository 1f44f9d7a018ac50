// Connections and runs: before, between and after them; the sleeper that began before the first socket; a fork.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "support/death.h"
#include "support/waiting.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

struct pair {
  pair() {
    auto on = listen("tcp", "127.0.0.1:0");
    there = dial("tcp", on->addr().to_string()).value();
    here = on->accept().value();
  }
  conn here;
  conn there;
};

TEST(connections, need_no_run_on_plain_threads) {
  pair ends;
  std::string large(4 << 20, 'x');
  std::thread writer([&] { EXPECT_EQ(ends.there.write(large).value_or(0), large.size()); });
  std::string got(large.size(), '?');
  EXPECT_EQ(ends.here.read_full(std::as_writable_bytes(std::span(got))).value_or(0), got.size());
  EXPECT_TRUE(got == large);
  writer.join();
  ends.here.set_read_deadline(test::clock::now() + 3ms);
  char room[1];
  EXPECT_EQ(ends.here.read(room).error(), errc::timed_out);
}

TEST(connections, go_on_in_another_run) {
  pair ends;
  for (int procs : {1, 2, 4}) {
    run(options{.max_procs = procs}, [&] {
      wait_group wg;
      wg.go([&] {
        char room[1];
        EXPECT_EQ(ends.here.read(room).value_or(0), 1u);
      });
      yield();
      EXPECT_TRUE(ends.there.write("x"));
      wg.wait();
    });
    EXPECT_TRUE(ends.there.write("y"));
    char room[1];
    EXPECT_EQ(ends.here.read(room).value_or(0), 1u);
  }
}

// Those of the first run never go on; nobody else notices.
TEST(connections, that_frozen_goroutines_wait_for_can_be_used_and_closed) {
  pair ends;
  run([&] {
    // Leaked with the goroutines, which never end.
    auto* wg = new test::waiting_goroutines;
    for (int i = 0; i < 3; ++i) {
      wg->go(sched::wait_reason::io_wait, [c = ends.here] {
        char room[1];
        (void)c.read(room);
        std::abort();
      });
    }
  });
  EXPECT_EQ(sched::rt().io_waits, 0);
  run([&] {
    EXPECT_TRUE(ends.there.write("abc"));
    std::string got(3, '?');
    EXPECT_EQ(ends.here.read_full(std::as_writable_bytes(std::span(got))).value_or(0), 3u);
    EXPECT_EQ(got, "abc");
    EXPECT_FALSE(ends.here.close());
    // Really closed, although the frozen ones were inside.
    char room[1];
    EXPECT_EQ(ends.there.read(room).value_or(9), 0u);
  });
}

class first_socket : public test::in_own_process {};
TEST_F(first_socket, wakes_who_sleeps_for_a_timer_alone) {
  EXPECT_EXIT(
      {
        std::thread([] {
          // Whoever waits for the hour waits too long.
          std::this_thread::sleep_until(test::clock::now() + 20s);
          test::finish(false);
        }).detach();
        run(options{.max_procs = 2}, [] {
          go([] { sleep(1h); });
          go([] { sleep(1h); });
          yield();
          // The other M is asleep for the hour.
          test::compute_for(20ms);
          pair ends;
          std::thread later([&] {
            // After every M is idle, and sysmon asleep.
            std::this_thread::sleep_until(test::clock::now() + 300ms);
            EXPECT_EQ(::send(ends.there.fd(), "x", 1, 0), 1);
          });
          char room[1];
          bool read = ends.here.read(room).value_or(0) == 1;
          blocking([&] { later.join(); });
          test::finish(read);
        });
      },
      test::succeeds, "");
}

TEST(connections, are_left_alone_when_a_forked_child_closes_its_own) {
  run(options{.max_procs = 2}, [] {
    pair ends;
    test::waiting_goroutines wg;
    char room[1];
    wg.go(sched::wait_reason::io_wait, [&] { EXPECT_EQ(ends.here.read(room).value_or(0), 1u); });
    pid_t child = fork();
    if (child == 0) {
      ends.here.close();
      ends.there.close();
      _exit(0);
    }
    int status = -1;
    blocking([&] { waitpid(child, &status, 0); });
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(ends.there.write("x"));
    wg.wait();
  });
}

}  // namespace
}  // namespace runnel::net
