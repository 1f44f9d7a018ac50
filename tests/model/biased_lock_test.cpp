// A lock that is biased to one party, under every schedule: its owner goes in and out while others take the bias away,
// get it themselves, or only want to get in. What the lock guards is plain data: two inside at a time, or one after the
// other without order, are a data race.

#include "base/biased_lock.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "model/expect.h"
#include "model/weakened.h"

namespace runnel::base {
namespace {

using model::finds;
using model::proves;

constexpr std::uintptr_t first = 64, second = 128, third = 192;

template <class Sync>
struct world {
  biased_lock<Sync, 1> lock;  // a second use in a row gives the bias
  model::var<int> guarded;
  int sections = 0;  // outside of the model
  bool somebody_waited = false;

  void use(std::uintptr_t id, int times) {
    for (int i = 0; i < times; ++i) {
      somebody_waited |= lock.acquire(id) != 0;
      guarded += 1;
      ++sections;
      lock.release();
    }
  }
  void settle_up() { model::check(guarded == sections, "no section is lost"); }
};

struct party {
  std::uintptr_t id;
  int times;
};

// `owner` has the bias when the others begin.
template <class Sync = model::sync>
model::program_body contend(std::uintptr_t owner, std::initializer_list<party> parties) {
  return [owner, parties = std::vector<party>(parties)](model::program& p) {
    auto& w = p.make<world<Sync>>();
    p.label(w.lock, "lock");
    p.label(w.guarded, "guarded");
    if (owner != 0) w.use(owner, 3);
    for (const party& who : parties) {
      p.thread([&w, who] { w.use(who.id, who.times); });
    }
    p.finally([&w] { w.settle_up(); });
  };
}

TEST(biased_lock, excludes_its_owner_and_another) {
  EXPECT_TRUE(proves(contend(first, {{first, 2}, {second, 1}})));
}

TEST(biased_lock, goes_over_to_another_who_uses_it_more) {
  EXPECT_TRUE(proves(contend(first, {{first, 1}, {second, 3}})));
}

TEST(biased_lock, excludes_two_who_both_want_the_bias) {
  EXPECT_TRUE(proves(contend(0, {{first, 2}, {second, 2}})));
}

TEST(biased_lock, excludes_two_others_who_take_the_bias_at_once) {
  EXPECT_TRUE(
      proves({.max_preemptions = 2}, contend(first, {{first, 1}, {second, 1}, {third, 1}})));
}

TEST(biased_lock, never_gives_the_bias_to_parties_without_an_identity) {
  constexpr auto nobody = biased_lock<model::sync, 1>::nobody_special;
  EXPECT_TRUE(proves(contend(0, {{nobody, 2}, {nobody, 2}})));
}

TEST(biased_lock, needs_the_heavy_fence) {
  EXPECT_TRUE(finds("race", contend<model::without_heavy_fence>(first, {{first, 2}, {second, 1}})));
}

TEST(biased_lock, needs_more_than_a_fence_of_ones_own) {
  EXPECT_TRUE(
      finds("race", contend<model::heavy_fence_for_oneself>(first, {{first, 2}, {second, 1}})));
}

TEST(biased_lock, needs_the_release_of_who_leaves) {
  using sync = model::weakened<model::relaxed_stores>;
  EXPECT_TRUE(finds("race", contend<sync>(first, {{first, 2}, {second, 1}})));
}

TEST(biased_lock, needs_the_acquire_of_who_waits_for_the_owner) {
  using sync = model::weakened<model::relaxed_loads>;
  EXPECT_TRUE(finds("race", contend<sync>(first, {{first, 2}, {second, 1}})));
}

TEST(biased_lock, needs_an_exchange_that_is_one_step) {
  using sync = model::weakened<model::torn_exchange>;
  EXPECT_TRUE(finds("livelock", contend<sync>(0, {{second, 1}, {third, 1}})));
}

}  // namespace
}  // namespace runnel::base
