// Signals that rain on a program in which channels come and go, contexts are cancelled, and goroutines work.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "runnel/runnel.h"
#include "support/scale.h"

namespace {

namespace signal = runnel::signal;

// Whoever listens gets something; nothing comes after stop; each signal ends where it belongs.
TEST(signal_stress, channels_come_and_go_in_the_rain) {
  auto always = runnel::make_chan<int>(1);
  signal::notify(always, {SIGUSR1, SIGUSR2, SIGHUP});
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  std::thread rain([&] {
    constexpr int kinds[] = {SIGUSR1, SIGUSR2, SIGHUP};
    for (unsigned i = 0; !over; ++i) kill(getpid(), kinds[i % 3]);
  });
  for (int round = 0; round < 3; ++round) {
    runnel::run({.max_procs = 4}, [&] {
      std::atomic<bool> enough{false};
      runnel::wait_group wg;
      for (int i = 0; i < 8; ++i) {
        wg.go([&, i] {
          int mine = i % 2 == 0 ? SIGUSR1 : SIGUSR2;
          for (int n = 0; n < test::scaled(300); ++n) {
            auto c = runnel::make_chan<int>(64);
            signal::notify(c, {mine});
            if (c.recv() != mine) ++wrong;
            if (n % 3 == 0) signal::notify(c, {SIGHUP});
            signal::stop(c);
            std::size_t left = c.len();
            for (int k = 0; k < 3; ++k) runnel::yield();
            if (c.len() != left) ++wrong;
          }
        });
      }
      for (int i = 0; i < 2; ++i) {
        wg.go([&] {
          for (int n = 0; n < test::scaled(300); ++n) {
            auto ctx = signal::notify_context(runnel::background(), {SIGHUP});
            ctx.done().recv();
            if (!ctx.cause()) ++wrong;
            ctx.stop();
          }
        });
      }
      // Who works, and sees no EINTR of ours in its waits.
      runnel::go([&] {
        auto ping = runnel::make_chan<int>();
        runnel::go([&] {
          for (int v : ping) static_cast<void>(v);
        });
        while (!enough) ping.send(1);
        ping.close();
      });
      wg.wait();
      enough = true;
    });
  }
  over = true;
  rain.join();
  signal::stop(always);
  EXPECT_EQ(wrong, 0);
  struct sigaction now{};
  sigaction(SIGUSR1, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

}  // namespace
