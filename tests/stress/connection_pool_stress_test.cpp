// connection_pool: everything at once. Nobody shares a connection, none is lost, and there are never too many.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/random.h"
#include "runnel/connection_pool.h"
#include "runnel/runnel.h"
#include "support/connections.h"
#include "support/scale.h"
#include "support/seed.h"

namespace {

using namespace std::chrono_literals;
using test::connection;

TEST(connection_pool_stress, nothing_is_lost_or_shared) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  for (int procs : {1, 2, 8}) {
    runnel::run({.max_procs = procs}, [&] {
      test::server server;
      std::atomic<int> refused{0}, gave_up{0}, used{0}, shared{0};
      std::atomic<std::uint64_t> asked{0};
      runnel::connection_pool<connection> pool(
          {.max_open = 4, .max_idle = 3, .max_lifetime = 2ms, .max_idle_time = 100us},
          [&, open = server.opener()]() -> runnel::result<connection> {
            if (asked++ % 7 == 0) return std::unexpected(make_error_code(std::errc::timed_out));
            return open();
          },
          [&](connection&) { return asked++ % 11 != 0; });
      auto work = [&](std::uint64_t who, int times) {
        runnel::base::random rng(seed + who);
        for (int i = 0; i < times; ++i) {
          auto [ctx, cancel] = runnel::with_timeout(
              runnel::background(), std::chrono::microseconds(rng.next() % 400 + 1));
          auto c = pool.get(ctx);
          if (!c) {
            ++(c.error() == std::errc::timed_out && c.error().category() == std::generic_category()
                   ? refused
                   : gave_up);
            continue;
          }
          ++used;
          shared += !(*c)->alone([&] {
            if (rng.next() % 2 == 0) runnel::yield();
            if (rng.next() % 16 == 0) runnel::sleep(50us);
          });
          if (rng.next() % 8 == 0) c->discard();
          cancel();
        }
      };
      runnel::wait_group all;
      for (std::uint64_t g = 0; g < 40; ++g) all.go([&, g] { work(g, test::scaled(400)); });
      std::thread plain(work, 100, test::scaled(400));
      all.wait();
      runnel::blocking([&] { plain.join(); });
      EXPECT_EQ(shared, 0);
      EXPECT_LE(server.most_alive(), 4);
      EXPECT_GT(used, 0);
      auto stats = pool.stats();
      EXPECT_EQ(stats.waiting, 0U);
      EXPECT_EQ(stats.failed_opens, static_cast<std::uint64_t>(refused.load()));
      // All places are there again.
      for (int i = 0; i < 4;) {
        std::vector<runnel::connection_pool<connection>::handle> held;
        for (i = 0; i < 4; ++i) {
          auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 20s);
          auto c = pool.get(ctx);
          if (!c && c.error().category() == std::generic_category()) break;  // refused: again
          ASSERT_TRUE(c) << c.error().message();
          held.push_back(std::move(*c));
        }
      }
      pool.close();
      EXPECT_EQ(server.alive(), 0);
    });
  }
}

}  // namespace
