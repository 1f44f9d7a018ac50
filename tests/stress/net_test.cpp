// Connections that open, talk, time out, are reset and closed at random, by goroutines and plain threads, from all sides.
// Afterwards no descriptor, no goroutine and no wait is left, and what arrived is what was sent.

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "runnel/net.h"
#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/timers_left.h"
#include "support/wait.h"

namespace runnel::net {
namespace {

using namespace std::chrono_literals;

int open_descriptors() {
  int count = 0;
  if (DIR* all = opendir("/proc/self/fd")) {
    while (dirent* entry = readdir(all)) count += entry->d_name[0] != '.';
    closedir(all);
  }
  return count - 1;  // its own
}

time_point soon(base::random& rng) {
  return test::clock::now() + std::chrono::microseconds(rng.below(3000));
}

void reset(const conn& c) {
  linger at_once{1, 0};
  // Its number may be another's by now, whose peer then sees a reset: as good.
  setsockopt(c.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  c.close();
}

bool is_expected(const std::error_code& e) {
  return e == errc::closed || e == errc::timed_out || e == std::errc::connection_reset ||
         e == std::errc::broken_pipe || e == errc::canceled || e == std::errc::not_connected;
}

void expect_expected(const std::error_code& e) { EXPECT_TRUE(is_expected(e)) << e.message(); }

// The n-th byte of every connection's stream.
char byte_at(std::size_t n) { return static_cast<char>(n * 7 + (n >> 8)); }

// Sends and receives for a while, and ends in some way.
void talk(const conn& c, base::random rng) {
  std::size_t sent = 0;
  std::size_t received = 0;
  std::string out;
  char in[2000];
  int steps = static_cast<int>(rng.below(12));
  for (int i = 0; i < steps; ++i) {
    switch (rng.below(6)) {
      case 0: c.set_read_deadline(soon(rng)); break;
      case 1: c.set_deadline(time_point::max()); break;
      case 2: {
        out.resize(1 + rng.below(rng.below(8) == 0 ? 200'000 : 500));
        for (char& one : out) one = byte_at(sent++);
        c.set_write_deadline(soon(rng));
        auto n = c.write(out);
        if (!n) {
          expect_expected(n.error());
          return;
        }
        break;
      }
      case 3: {
        c.set_read_deadline(soon(rng));
        auto n = c.read(std::span(in).first(1 + rng.below(sizeof in)));
        if (!n) {
          expect_expected(n.error());
          if (n.error() != errc::timed_out) return;
          break;
        }
        if (*n == 0) return;
        for (std::size_t k = 0; k < *n; ++k) ASSERT_EQ(in[k], byte_at(received++));
        break;
      }
      case 4: yield(); break;
      default:
        if (rng.below(4) == 0) c.close_write();
    }
  }
  switch (rng.below(4)) {
    case 0: reset(c); break;
    case 1: c.close(); break;
    case 2: {
      // Another closes while this one waits.
      std::thread closer;
      wait_group wg;
      if (rng.below(16) == 0) {
        closer = std::thread([&c] { c.close(); });
      } else {
        wg.go([&c] { c.close(); });
      }
      c.set_read_deadline(time_point::max());
      while (c.read(in).value_or(0) != 0) {
      }
      wg.wait();
      if (closer.joinable()) blocking([&] { closer.join(); });
      break;
    }
    default: break;  // by its last handle
  }
}

class net_stress : public testing::TestWithParam<int> {};

TEST_P(net_stress, leaves_nothing_behind) {
  std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  {
    auto first = listen("tcp", "127.0.0.1:0");
  }  // opens the poller
  int before = open_descriptors();
  run(options{.max_procs = GetParam()}, [&] {
    auto on = listen("tcp", "127.0.0.1:0");
    auto local = listen("unix", "@runnel-stress-" + std::to_string(getpid()));
    ASSERT_TRUE(on && local);
    wait_group accepting;
    wait_group talking;
    std::atomic<std::uint64_t> number{seed};
    auto accept_all = [&](const listener& from) {
      for (;;) {
        if (base::random(++number).below(4) == 0) from.set_deadline(test::clock::now() + 2ms);
        auto c = from.accept();
        if (c) {
          talking.go([c = *c, n = ++number] { talk(c, base::random(n)); });
          continue;
        }
        if (c.error() == errc::closed) return;
        EXPECT_EQ(c.error(), errc::timed_out);
        from.set_deadline(time_point::max());
      }
    };
    for (int i = 0; i < 3; ++i) {
      accepting.go([&] { accept_all(*on); });
      accepting.go([&] { accept_all(*local); });
    }
    wait_group dialing;
    int connections = test::scaled(5000);
    auto dial_some = [&](int times) {
      for (int i = 0; i < times; ++i) {
        base::random rng(++number);
        bool tcp = rng.below(3) != 0;
        auto [ctx, cancel] = with_timeout(background(), rng.below(20) == 0 ? 300us : 30s);
        auto c = dial(ctx, tcp ? "tcp" : "unix", (tcp ? *on : *local).addr().to_string());
        cancel();
        if (c) {
          talk(*c, rng);
        } else {
          expect_expected(c.error());
        }
      }
    };
    constexpr int dialers = 20;
    for (int i = 0; i < dialers; ++i) dialing.go([&] { dial_some(connections / dialers); });
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { dial_some(connections / dialers); });
    blocking([&] {
      for (auto& one : threads) one.join();
    });
    dialing.wait();
    on->close();
    local->close();
    accepting.wait();
    talking.wait();
    EXPECT_TRUE(test::eventually([] { return num_goroutine() == 1; })) << num_goroutine();
    EXPECT_EQ(sched::rt().io_waits, 0);
    EXPECT_EQ(test::timers_in_heaps(), 0u);
  });
  EXPECT_EQ(open_descriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(procs, net_stress, testing::Values(1, 2, 8));

}  // namespace
}  // namespace runnel::net
