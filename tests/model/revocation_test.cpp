// Revocation under every schedule: an owner goes in and out of the runtime while a claimant takes its P away.
// The state of the P is plain data: two users at a time, or one after the other without order, are a data race.

#include "sched/handshake.h"

#include <gtest/gtest.h>

#include "model/expect.h"
#include "model/weakened.h"

namespace runnel::sched {
namespace {

using model::finds;
using model::proves;

template <class Sync>
struct world {
  using shake = handshake<Sync>;

  shake hands;
  model::var<int> p_state;
  model::var<bool> has_p{true};       // written by the owner, inside; read by who wants the P
  model::sync::atomic<int> given{0};  // the P, given away by the owner itself
  // Outside of the model, for the checks at the end.
  bool was_taken = false, learned = false;
  int uses = 0, withdrawals = 0, preempted = 0;

  // --- the owner ---

  // True: inside, with the P.
  bool enter() {
    if (hands.enter()) return true;
    std::uint32_t verdict = hands.settle();
    if ((verdict & shake::preempt) != 0) {
      hands.clear(shake::preempt);
      ++preempted;
    }
    if ((verdict & shake::taken) == 0) return true;
    hands.clear(shake::taken);
    learned = true;
    return false;
  }
  void use() {
    p_state += 1;
    ++uses;
  }
  void owner(int rounds, zone outside) {
    hands.leave(outside);
    for (int i = 0; i < rounds; ++i) {
      if (!enter()) return;
      use();
      hands.leave(outside);
    }
  }

  // --- the claimant ---

  template <class Fence>
  void claimant(int rounds, Fence fence) {
    for (int i = 0; i < rounds && !was_taken; ++i) {
      hands.claim();
      fence();
      was_taken = hands.decide(shake::preempt, [&] { return has_p && p_state.get() >= 0; });
      if (was_taken) {
        use();
      } else {
        ++withdrawals;
      }
    }
  }

  // --- when all is over ---
  void settle_up() {
    bool with_p = !learned && enter();
    model::check(learned == was_taken, "the owner learns that its P was taken, and only then");
    model::check(with_p == !was_taken, "the P is with one of them");
    model::check(preempted <= withdrawals, "asked to yield only if a claim was withdrawn");
    model::check(withdrawals == 0 || was_taken || preempted > 0, "a withdrawn claim asks to yield");
    model::check(p_state == uses, "no use is lost");
  }
};

struct outcomes {
  bool taken = false, withdrawn = false, lost_inside_the_loop = false;
};

enum class fences { asymmetric, full };

template <class Sync = model::sync>
model::program_body contend(fences kind, int rounds, int claims, zone outside,
                            outcomes* seen = nullptr) {
  return [=](model::program& p) {
    auto& w = p.make<world<Sync>>();
    p.label(w.hands, "handshake");
    p.label(w.p_state, "P");
    if (kind == fences::full) w.hands.use_full_fences();
    p.thread("owner", [&w, rounds, outside] { w.owner(rounds, outside); });
    p.thread("claimant", [&w, kind, claims] {
      w.claimant(claims, [kind] { kind == fences::full ? Sync::fence() : Sync::heavy_fence(); });
    });
    p.finally([&w, seen] {
      if (seen != nullptr) {
        seen->taken |= w.was_taken;
        seen->withdrawn |= w.withdrawals > 0;
        seen->lost_inside_the_loop |= w.learned;
      }
      w.settle_up();
    });
  };
}

TEST(revocation, leaves_the_p_to_one_of_them) {
  outcomes seen;
  EXPECT_TRUE(proves(contend(fences::asymmetric, 3, 1, zone::user, &seen)));
  EXPECT_TRUE(seen.taken && seen.withdrawn && seen.lost_inside_the_loop);
}

TEST(revocation, leaves_the_p_to_one_of_them_when_claims_are_repeated) {
  EXPECT_TRUE(proves(contend(fences::asymmetric, 2, 3, zone::user)));
}

TEST(revocation, takes_the_p_of_who_blocks) {
  EXPECT_TRUE(proves(contend(fences::asymmetric, 2, 2, zone::blocking)));
}

TEST(revocation, works_with_full_fences) {
  outcomes seen;
  EXPECT_TRUE(proves(contend(fences::full, 3, 2, zone::user, &seen)));
  EXPECT_TRUE(seen.taken && seen.withdrawn && seen.lost_inside_the_loop);
}

// The owner gives its P to another thread; a claimant that comes too late must see that.
TEST(revocation, lets_an_owner_surrender_under_a_claim) {
  EXPECT_TRUE(proves([](model::program& p) {
    auto& w = p.make<world<model::sync>>();
    p.thread("owner", [&w] {
      w.hands.leave();
      if (!w.enter()) return;
      w.use();
      w.has_p = false;
      w.hands.surrender();
      w.given.store(1, std::memory_order_release);
      w.hands.leave();
    });
    p.thread("heir", [&w] {
      if (w.given.load(std::memory_order_acquire) == 1) w.use();
    });
    p.thread("claimant", [&w] { w.claimant(2, [] { model::sync::heavy_fence(); }); });
    p.finally([&w] {
      bool surrendered = w.given.load() == 1;
      model::check(!(surrendered && w.was_taken), "taken or surrendered");
      if (w.learned) return;
      model::check(!w.enter(), "the owner has no P");
      model::check(w.learned, "and knows it");
    });
  }));
}

// Whoever took the P gives it back, the owner picks it up, and it is taken again.
TEST(revocation, takes_a_p_again_that_came_back) {
  bool twice = false;
  EXPECT_TRUE(proves([&twice](model::program& p) {
    using shake = handshake<model::sync>;
    auto& w = p.make<world<model::sync>>();
    p.label(w.hands, "handshake");
    p.label(w.p_state, "P");
    auto& taken = p.make<int>(0);  // outside of the model
    p.thread("owner", [&w] {
      w.hands.leave();
      int returned = 0;
      for (int i = 0; i < 2; ++i) {
        if (!w.enter()) {
          ++returned;
          while (w.given.load(std::memory_order_acquire) < returned) model::sync::pause();
          w.has_p = true;
        }
        w.use();
        w.hands.leave();
      }
    });
    p.thread("claimant", [&w, &taken] {
      for (int i = 0; i < 2; ++i) {
        w.hands.claim();
        model::sync::heavy_fence();
        bool got = w.hands.decide(shake::preempt, [&w] {
          if (!w.has_p) return false;
          w.has_p = false;
          return true;
        });
        if (!got) continue;
        ++taken;
        w.use();
        w.given.fetch_add(1, std::memory_order_release);
      }
    });
    p.finally([&w, &taken, &twice] {
      twice |= taken == 2;
      w.enter();
      model::check(w.p_state == w.uses, "no use is lost");
    });
  }));
  EXPECT_TRUE(twice);
}

TEST(revocation, brings_a_wish_to_yield_to_the_owner) {
  EXPECT_TRUE(proves([](model::program& p) {
    auto& w = p.make<world<model::sync>>();
    p.thread("owner", [&w] { w.owner(2, zone::user); });
    p.thread("sysmon", [&w] { w.hands.ask_to_yield(); });
    p.finally([&w] {
      model::check(w.enter(), "the P stays");
      model::check(w.preempted == 1, "seen once");
    });
  }));
}

// --- what the model would find ---

TEST(revocation, would_fail_without_the_heavy_fence) {
  EXPECT_TRUE(finds("data race on P",
                    contend<model::without_heavy_fence>(fences::asymmetric, 2, 1, zone::user)));
}

TEST(revocation, would_fail_with_a_fence_of_the_claimant_alone) {
  EXPECT_TRUE(finds("data race on P",
                    contend<model::heavy_fence_for_oneself>(fences::asymmetric, 2, 1, zone::user)));
}

TEST(revocation, would_fail_without_the_full_fences) {
  EXPECT_TRUE(
      finds("data race on P", contend<model::without_fence>(fences::full, 2, 1, zone::user)));
}

TEST(revocation, would_fail_if_leaving_did_not_release) {
  EXPECT_TRUE(finds("data race on P", contend<model::weakened<model::relaxed_stores>>(
                                          fences::asymmetric, 2, 1, zone::user)));
}

TEST(revocation, would_fail_if_deciding_did_not_acquire) {
  EXPECT_TRUE(finds("data race on P", contend<model::weakened<model::relaxed_loads>>(
                                          fences::asymmetric, 2, 1, zone::user)));
}

// The owner does not wait for the verdict.
TEST(revocation, would_fail_if_the_owner_did_not_settle) {
  EXPECT_TRUE(finds("data race on P", [](model::program& p) {
    auto& w = p.make<world<model::sync>>();
    p.label(w.p_state, "P");
    p.thread("owner", [&w] {
      w.hands.leave();
      w.hands.enter();
      w.use();
    });
    p.thread("claimant", [&w] { w.claimant(1, [] { model::sync::heavy_fence(); }); });
  }));
}

}  // namespace
}  // namespace runnel::sched
