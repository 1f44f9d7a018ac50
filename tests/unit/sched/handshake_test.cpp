// Revocation on the hardware: what each side is told, and that a P is never in two hands.

#include "sched/handshake.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/random.h"
#include "base/sync_policy.h"
#include "platform/lock.h"
#include "platform/membarrier.h"
#include "support/scale.h"

namespace runnel::sched {
namespace {

using hands = handshake<base::hardware>;

constexpr auto always = [] { return true; };
constexpr auto never = [] { return false; };

bool claim(hands& h, std::uint32_t if_withdrawn = 0) {
  h.claim();
  base::hardware::heavy_fence();
  return h.decide(if_withdrawn, always);
}

TEST(handshake_test, begins_in_the_runtime_unclaimed) {
  hands h;
  EXPECT_EQ(h.where(), zone::runtime);
  EXPECT_TRUE(h.enter());
}

TEST(handshake_test, leaving_says_where_to) {
  hands h;
  h.leave();
  EXPECT_EQ(h.where(), zone::user);
  h.enter();
  EXPECT_EQ(h.where(), zone::runtime);
  h.leave(zone::blocking);
  EXPECT_EQ(h.where(), zone::blocking);
}

TEST(handshake_test, the_p_of_an_owner_outside_is_taken) {
  for (zone outside : {zone::user, zone::blocking}) {
    hands h;
    h.leave(outside);
    EXPECT_TRUE(claim(h));
    EXPECT_FALSE(h.enter());
    EXPECT_EQ(h.settle(), hands::taken);
  }
}

TEST(handshake_test, the_p_of_an_owner_inside_stays) {
  hands h;
  h.enter();
  EXPECT_FALSE(claim(h));
  h.leave();
  EXPECT_TRUE(h.enter());
}

TEST(handshake_test, an_owner_inside_is_asked_to_yield_if_the_claimant_says_so) {
  hands h;
  h.enter();
  EXPECT_FALSE(claim(h, hands::preempt));
  h.leave();
  EXPECT_FALSE(h.enter());
  EXPECT_EQ(h.settle(), hands::preempt);
  h.clear(hands::preempt);
  h.leave();
  EXPECT_TRUE(h.enter());
}

TEST(handshake_test, a_claimant_that_has_changed_its_mind_withdraws) {
  hands h;
  h.leave();
  h.claim();
  base::hardware::heavy_fence();
  EXPECT_FALSE(h.decide(0, never));
  EXPECT_TRUE(h.enter());
}

TEST(handshake_test, the_claimant_is_asked_nothing_while_the_owner_is_inside) {
  hands h;
  h.enter();
  h.claim();
  base::hardware::heavy_fence();
  bool asked = false;
  h.decide(0, [&] { return asked = true; });
  EXPECT_FALSE(asked);
}

TEST(handshake_test, a_taken_p_is_missing_until_the_owner_clears_the_bit) {
  hands h;
  h.leave();
  claim(h);
  EXPECT_FALSE(h.enter());
  h.leave();
  EXPECT_FALSE(h.enter());
  EXPECT_EQ(h.settle(), hands::taken);
  h.clear(hands::taken);
  h.leave();
  EXPECT_TRUE(h.enter());
}

TEST(handshake_test, a_wish_to_yield_is_heard_at_the_next_entry) {
  hands h;
  h.leave();
  h.ask_to_yield();
  EXPECT_EQ(h.where(), zone::user);
  EXPECT_FALSE(h.enter());
  EXPECT_EQ(h.settle(), hands::preempt);
}

TEST(handshake_test, wishes_and_verdicts_add_up) {
  hands h;
  h.leave();
  h.ask_to_yield();
  claim(h);
  EXPECT_FALSE(h.enter());
  EXPECT_EQ(h.settle(), hands::preempt | hands::taken);
  h.clear(hands::preempt);
  EXPECT_EQ(h.settle(), std::uint32_t{hands::taken});
}

TEST(handshake_test, an_owner_that_surrenders_finds_its_p_gone) {
  hands h;
  h.enter();
  h.surrender();
  h.leave(zone::blocking);
  EXPECT_FALSE(h.enter());
  EXPECT_EQ(h.settle(), hands::taken);
}

TEST(handshake_test, with_full_fences_every_entry_asks) {
  hands h;
  h.use_full_fences();
  h.leave();
  EXPECT_FALSE(h.enter());
  EXPECT_EQ(h.settle(), 0u);
  h.clear(hands::taken | hands::preempt);
  h.leave();
  EXPECT_FALSE(h.enter());
}

// One owner that goes in and out, and claimants that take its P from it, one at a time. Whoever has the P
// counts on it without any other synchronization: ThreadSanitizer sees what the handshake does not order.
class handshake_storm : public testing::Test {
 protected:
  enum class status { with_owner, taken, free };

  void own() {
    base::random rng(1);
    while (!stop.load(std::memory_order_relaxed)) {
      if (!shake.enter()) {
        std::uint32_t bits = shake.settle();
        if ((bits & hands::taken) != 0) {
          base::backoff spin;
          while (p.load(std::memory_order_acquire) != status::free) spin.wait();
          shake.clear(hands::taken);
          p.store(status::with_owner, std::memory_order_release);
        }
        shake.clear(bits & hands::preempt);
      }
      ++count_on_p;
      ++by_owner;
      shake.leave(rng.below(2) == 0 ? zone::user : zone::blocking);
      // At times shorter than a heavy fence, so that the owner is inside again; at times longer.
      std::uint32_t most = rng.below(2) == 0 ? 30 : 3000;
      for (std::uint32_t spin = rng.below(most); spin > 0; --spin) base::hardware::pause();
    }
    shake.enter();
  }

  void take(long wanted) {
    while (taken_count.load(std::memory_order_relaxed) < wanted) {
      if (try_to_take()) continue;
      // One claim after the other would keep the owner waiting for a verdict, inside, for ever.
      base::backoff spin;
      while (!stop && shake.where() == zone::runtime) spin.wait();
    }
  }

  bool try_to_take() {
    platform::lock_guard hold(one_claimant);
    if (p.load(std::memory_order_acquire) != status::with_owner) return false;
    shake.claim();
    base::hardware::heavy_fence();
    // What the owner wrote inside may be read here.
    if (!shake.decide(hands::preempt, [&] { return count_on_p >= 0; })) {
      ++withdrawn;
      return false;
    }
    p.store(status::taken, std::memory_order_relaxed);
    ++count_on_p;
    ++by_claimants;
    taken_count.fetch_add(1, std::memory_order_relaxed);
    p.store(status::free, std::memory_order_release);
    return true;
  }

  void run(long wanted) {
    std::thread owner([&] { own(); });
    std::vector<std::thread> claimants;
    for (int i = 0; i < 2; ++i) claimants.emplace_back([&] { take(wanted); });
    for (auto& t : claimants) t.join();
    stop = true;
    owner.join();
    EXPECT_EQ(count_on_p, by_owner + by_claimants);
    EXPECT_GE(by_claimants, wanted);
    RecordProperty("withdrawn", static_cast<int>(withdrawn));
  }

  void TearDown() override {
    unsetenv("RUNNEL_MEMBARRIER");
    platform::register_membarrier();
  }

  hands shake;
  std::atomic<status> p{status::with_owner};
  long count_on_p = 0;  // belongs to whoever has the P
  long by_owner = 0;
  platform::lock one_claimant;
  long by_claimants = 0;  // guarded by one_claimant
  long withdrawn = 0;     // guarded by one_claimant
  std::atomic<long> taken_count{0};
  std::atomic<bool> stop{false};
};

TEST_F(handshake_storm, a_p_is_in_one_hand_at_a_time) {
  platform::register_membarrier();
  if (!platform::asymmetric_fences()) shake.use_full_fences();
  run(test::scaled(5'000));
}

TEST_F(handshake_storm, a_p_is_in_one_hand_at_a_time_without_membarrier) {
  setenv("RUNNEL_MEMBARRIER", "off", 1);
  platform::register_membarrier();
  shake.use_full_fences();
  run(test::scaled(5'000));
}

}  // namespace
}  // namespace runnel::sched
