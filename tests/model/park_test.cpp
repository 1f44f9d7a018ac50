// Parking under every schedule: no permit is lost, however parks, unparks, deadlines and wake-ups without reason
// fall together. A lost permit shows as a deadlock: the owner sleeps for ever.

#include "platform/parker.h"

#include <gtest/gtest.h>

#include <memory>

#include "model/expect.h"
#include "model/weakened.h"

namespace runnel::platform {
namespace {

using model::finds;
using model::proves;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::int64_t soon = 1;  // a deadline that may pass at any time

template <class Sync = model::sync, class Bed = model::bed>
struct world {
  basic_parker<Sync, Bed> parker;
  model::sync::atomic<int> arrived{0};
  model::var<int> message;
  bool timed_out = false, in_time = false;  // outside of the model
};

// One park, one unpark: what was written before the unpark is seen after the park.
template <class Sync = model::sync, class Bed = model::bed>
model::program_body once() {
  return [](model::program& p) {
    auto& w = p.make<world<Sync, Bed>>();
    p.label(w.parker, "parker");
    p.thread("owner", [&w] {
      model::check(w.parker.park(), "without a deadline there is always a permit");
      model::check(w.message == 1, "what was written before");
    });
    p.thread("waker", [&w] {
      w.message = 1;
      w.parker.unpark();
    });
  };
}

// The owner parks until all have come: each says so, without any order, before it unparks. A permit that is
// swallowed while the owner does not yet see what came with it is a permit lost.
template <class Sync = model::sync, class Bed = model::bed>
model::program_body until_all_have_come(int wakers, std::int64_t deadline = time_never) {
  return [=](model::program& p) {
    auto& w = p.make<world<Sync, Bed>>();
    p.label(w.parker, "parker");
    p.label(w.arrived, "arrived");
    p.thread("owner", [&w, wakers, deadline] {
      bool may_time_out = deadline != time_never;
      while (w.arrived.load(relaxed) != wakers) {
        if (!w.parker.park(may_time_out ? deadline : time_never))
          may_time_out = false;  // once is enough
      }
    });
    for (int i = 0; i < wakers; ++i) {
      p.thread("waker", [&w] {
        w.arrived.fetch_add(1, relaxed);
        w.parker.unpark();
      });
    }
  };
}

TEST(parker_model, publishes_what_was_written_before) { EXPECT_TRUE(proves(once())); }

TEST(parker_model, loses_no_permit_of_two) { EXPECT_TRUE(proves(until_all_have_come(2))); }

TEST(parker_model, loses_no_permit_of_three) { EXPECT_TRUE(proves(until_all_have_come(3))); }

TEST(parker_model, loses_no_permit_to_a_deadline) {
  EXPECT_TRUE(proves(until_all_have_come(2, soon)));
}

TEST(parker_model, bears_wake_ups_without_reason) {
  EXPECT_TRUE(proves({.max_spurious = 2}, until_all_have_come(2)));
  EXPECT_TRUE(proves({.max_spurious = 2}, until_all_have_come(1, soon)));
}

TEST(parker_model, keeps_the_permit_for_who_timed_out) {
  bool timed_out = false, in_time = false;
  EXPECT_TRUE(proves([&](model::program& p) {
    auto& w = p.make<world<>>();
    p.thread("owner", [&] {
      bool got = w.parker.park(soon);
      (got ? in_time : timed_out) = true;
      if (!got) model::check(w.parker.park(), "the permit comes later");
      model::check(w.message == 1, "what was written before");
    });
    p.thread("waker", [&] {
      w.message = 1;
      w.parker.unpark();
    });
  }));
  EXPECT_TRUE(timed_out && in_time);
}

TEST(parker_model, keeps_one_permit_and_no_more) {
  EXPECT_TRUE(proves([](model::program& p) {
    auto& w = p.make<world<>>();
    p.thread("owner", [&] {
      w.parker.unpark();
      w.parker.unpark();
      model::check(w.parker.park(), "a permit is there");
      model::check(!w.parker.park(soon), "and only one");
    });
  }));
}

// The owner ends the parker's life as soon as it can know that the unpark has given its permit.
TEST(parker_model, may_die_while_its_waker_leaves) {
  EXPECT_TRUE(proves([](model::program& p) {
    struct mortal {
      std::unique_ptr<basic_parker<model::sync, model::bed>> parker =
          std::make_unique<basic_parker<model::sync, model::bed>>();
    };
    auto& m = p.make<mortal>();
    p.thread("owner", [&m] {
      m.parker->park();
      m.parker.reset();
    });
    p.thread("waker", [bed = m.parker.get()] { bed->unpark(); });
  }));
}

// --- what the model would find ---

// Falls asleep although the word has changed.
struct careless_bed : model::bed {
  template <class Word>
  static bool sleep(Word& word, std::uint32_t, std::int64_t deadline) noexcept {
    return model::bed::sleep(word, word.load(relaxed), deadline);
  }
};

TEST(parker_model, would_fail_without_acquire_and_release) {
  EXPECT_TRUE(finds("data race", once<model::weakened<model::relaxed_exchange>>()));
}

TEST(parker_model, would_fail_if_exchanges_were_not_atomic) {
  EXPECT_TRUE(finds("asleep for ever", once<model::weakened<model::torn_exchange>>()));
}

TEST(parker_model, would_fail_on_a_bed_that_does_not_look) {
  EXPECT_TRUE(finds("asleep for ever", once<model::sync, careless_bed>()));
}

}  // namespace
}  // namespace runnel::platform
