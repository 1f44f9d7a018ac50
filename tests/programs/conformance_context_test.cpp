// The documentation of package context on Context, Background, WithCancel, WithDeadline, WithTimeout and WithValue.

#include <runnel/context.h>
#include <runnel/select.h>

#include <string>
#include <system_error>
#include <vector>

#include "programs/conformance.h"

namespace {

using namespace std::chrono_literals;
using conformance::background, conformance::blocks_for_ever, conformance::let_others_run;
using conformance::times;
using runnel::context, runnel::context_errc;
using test::clock;

// Whether done() is closed.
bool done(const context& ctx) {
  return runnel::select(runnel::recv(ctx.done()), runnel::otherwise) == 0;
}
bool becomes_done(const context& ctx) {
  return ctx.done().recv_for(30s).error() == runnel::chan_errc::closed;
}

struct user {
  using type = std::string;
};
struct other_user {
  using type = std::string;
};
struct number {
  using type = int;
};

CONFORMANCE(context_background);

// Background: it is never canceled.
TEST_P(context_background, is_never_canceled) {
  run([] {
    auto ctx = runnel::background();
    EXPECT_FALSE(done(ctx));
    EXPECT_FALSE(ctx.err());
    EXPECT_EQ(ctx.cause(), nullptr);
  });
}

// Background: it has no values.
TEST_P(context_background, has_no_values) {
  run([] {
    EXPECT_EQ(runnel::background().value<user>(), nullptr);
    EXPECT_EQ(runnel::background().value<number>(), nullptr);
  });
}

// Background: it has no deadline.
TEST_P(context_background, has_no_deadline) {
  run([] { EXPECT_FALSE(runnel::background().deadline().has_value()); });
}

// Context.Done: may be nil if the context can never be canceled; to wait for it is to wait for ever.
TEST_P(context_background, is_waited_for_in_vain) {
  run([] { EXPECT_TRUE(blocks_for_ever([] { runnel::background().done().recv(); })); });
}

CONFORMANCE(context_with_cancel);

// WithCancel: the context's done channel is closed when cancel is called, and not before.
TEST_P(context_with_cancel, is_done_when_cancel_is_called) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    background waiting([c = ctx] { EXPECT_FALSE(c.done().recv().has_value()); });
    EXPECT_FALSE(done(ctx));
    EXPECT_TRUE(waiting.stays_blocked());
    cancel();
    EXPECT_TRUE(waiting.ends());
    EXPECT_TRUE(becomes_done(ctx));
  });
}

// WithCancel: or when the parent's done channel is closed, whichever happens first.
TEST_P(context_with_cancel, is_done_when_its_parent_is) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel(runnel::background());
    auto [child, cancel_child] = runnel::with_cancel(parent);
    auto [grandchild, cancel_grandchild] = runnel::with_cancel(child);
    cancel_parent();
    EXPECT_TRUE(becomes_done(child));
    EXPECT_TRUE(becomes_done(grandchild));
    EXPECT_EQ(child.err(), context_errc::canceled);
    EXPECT_EQ(grandchild.err(), context_errc::canceled);
  });
}

// The same if the parent is done before: the child is from the beginning.
TEST_P(context_with_cancel, of_a_parent_that_is_done_is_done) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel(runnel::background());
    cancel_parent();
    auto [child, cancel_child] = runnel::with_cancel(parent);
    EXPECT_TRUE(done(child));
    EXPECT_EQ(child.err(), context_errc::canceled);
  });
}

// WithCancel: it has a new done channel: canceling it does not cancel its parent or its siblings.
TEST_P(context_with_cancel, leaves_its_parent_and_siblings_alone) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel(runnel::background());
    auto [one, cancel_one] = runnel::with_cancel(parent);
    auto [other, cancel_other] = runnel::with_cancel(parent);
    cancel_one();
    EXPECT_TRUE(becomes_done(one));
    EXPECT_FALSE(done(parent));
    EXPECT_FALSE(done(other));
    EXPECT_FALSE(parent.err());
    EXPECT_FALSE(other.err());
    cancel_parent();
    EXPECT_TRUE(becomes_done(other));
  });
}

// CancelFunc: does not wait for the work to stop.
TEST_P(context_with_cancel, is_canceled_without_waiting_for_the_work) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    auto begun = runnel::make_chan<int>(), gate = runnel::make_chan<int>();
    background work([=, c = ctx] {
      begun.send(1);
      c.done().recv();
      gate.recv();
    });
    begun.recv();
    cancel();
    EXPECT_TRUE(work.stays_blocked());
    gate.send(1);
    EXPECT_TRUE(work.ends());
  });
}

// CancelFunc: may be called by several goroutines simultaneously.
TEST_P(context_with_cancel, may_be_canceled_by_several_goroutines_at_once) {
  run([] {
    for (int i = 0; i < times(500); ++i) {
      auto [ctx, cancel] = runnel::with_cancel(runnel::background());
      runnel::wait_group wg;
      for (int g = 0; g < 4; ++g) wg.go([&cancel] { cancel(); });
      wg.wait();
      ASSERT_TRUE(done(ctx));
      ASSERT_EQ(ctx.err(), context_errc::canceled);
    }
  });
}

// CancelFunc: after the first call, others do nothing.
TEST_P(context_with_cancel, is_canceled_by_the_first_call_and_no_more_by_later_ones) {
  run([] {
    auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 10us);
    EXPECT_TRUE(becomes_done(ctx));
    cancel();
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    auto [again, cancel_again] = runnel::with_cancel(runnel::background());
    cancel_again();
    cancel_again();
    EXPECT_EQ(again.err(), context_errc::canceled);
  });
}

// Context: its methods may be called by multiple goroutines simultaneously.
TEST_P(context_with_cancel, may_be_used_by_several_goroutines_at_once) {
  run([] {
    for (int i = 0; i < times(200); ++i) {
      auto [ctx, cancel] = runnel::with_cancel(runnel::with_value<number>(runnel::background(), i));
      runnel::wait_group wg;
      for (int g = 0; g < 4; ++g) {
        wg.go([&, c = ctx] {
          EXPECT_EQ(*c.value<number>(), i);
          auto [child, cancel_child] = runnel::with_timeout(c, 1h);
          EXPECT_TRUE(child.deadline().has_value());
          if (!child.err()) child.done().recv();
          EXPECT_EQ(child.err(), context_errc::canceled);
          EXPECT_NE(child.cause(), nullptr);
          cancel_child();
        });
      }
      cancel();
      wg.wait();
    }
  });
}

// Context.Err: nil as long as done is not closed.
TEST_P(context_with_cancel, has_no_error_before_it_is_done) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    EXPECT_FALSE(ctx.err());
    cancel();
  });
}

// Context.Err: not nil once done is closed, and it tells why: canceled. Successive calls return the same.
TEST_P(context_with_cancel, tells_that_it_was_canceled) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    background waiting([c = ctx] {
      c.done().recv();
      EXPECT_EQ(c.err(), context_errc::canceled);
    });
    let_others_run();
    cancel();
    EXPECT_TRUE(waiting.ends());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ctx.err(), context_errc::canceled);
  });
}

// Context.Done: successive calls return the same channel; so do copies of the context.
TEST_P(context_with_cancel, returns_the_same_done_channel_whenever_asked) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    context copy = ctx;
    auto before = ctx.done();
    EXPECT_TRUE(before == copy.done());
    cancel();
    EXPECT_TRUE(before == ctx.done());
  });
}

// Context.Deadline: none if none is set.
TEST_P(context_with_cancel, has_the_deadline_of_its_parent) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    EXPECT_FALSE(ctx.deadline().has_value());
    auto when = clock::now() + 1h;
    auto [parent, cancel_parent] = runnel::with_deadline(runnel::background(), when);
    auto [child, cancel_child] = runnel::with_cancel(parent);
    EXPECT_EQ(child.deadline(), when);
    cancel(), cancel_parent(), cancel_child();
  });
}

CONFORMANCE(context_with_deadline);

// WithDeadline: the deadline is no later than the one given, and the parent's if that is earlier.
TEST_P(context_with_deadline, is_the_earlier_of_its_own_and_its_parents) {
  run([] {
    auto now = clock::now();
    auto [parent, cancel_parent] = runnel::with_deadline(runnel::background(), now + 2h);
    auto [sooner, cancel_sooner] = runnel::with_deadline(parent, now + 1h);
    auto [later, cancel_later] = runnel::with_deadline(parent, now + 3h);
    EXPECT_EQ(parent.deadline(), now + 2h);
    EXPECT_EQ(sooner.deadline(), now + 1h);
    EXPECT_EQ(later.deadline(), now + 2h);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(later.deadline(), now + 2h);  // and stays that
    cancel_parent(), cancel_sooner(), cancel_later();
  });
}

// WithDeadline: done is closed when the deadline expires, and not before.
TEST_P(context_with_deadline, is_done_when_the_deadline_expires) {
  run([] {
    auto when = clock::now() + 3ms;
    auto [ctx, cancel] = runnel::with_deadline(runnel::background(), when);
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_GE(clock::now(), when);
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    cancel();
  });
}

// WithDeadline: or when cancel is called.
TEST_P(context_with_deadline, is_done_when_cancel_is_called) {
  run([] {
    auto [ctx, cancel] = runnel::with_deadline(runnel::background(), clock::now() + 1h);
    EXPECT_FALSE(done(ctx));
    cancel();
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_EQ(ctx.err(), context_errc::canceled);
  });
}

// WithDeadline: or when the parent's done channel is closed, whichever happens first.
TEST_P(context_with_deadline, is_done_when_its_parent_is) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel(runnel::background());
    auto [ctx, cancel] = runnel::with_deadline(parent, clock::now() + 1h);
    cancel_parent();
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_EQ(ctx.err(), context_errc::canceled);
    cancel();
  });
}

// The same where the parent's deadline expires.
TEST_P(context_with_deadline, does_not_outlive_its_parents_deadline) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_deadline(runnel::background(), clock::now() + 1ms);
    auto [ctx, cancel] = runnel::with_deadline(parent, clock::now() + 1h);
    auto [plain, cancel_plain] = runnel::with_cancel(ctx);
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_TRUE(becomes_done(plain));
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    EXPECT_EQ(plain.err(), context_errc::deadline_exceeded);
    cancel_parent(), cancel(), cancel_plain();
  });
}

// WithDeadline: one that has passed closes done at once.
TEST_P(context_with_deadline, that_has_passed_is_done_at_once) {
  run([] {
    auto [ctx, cancel] = runnel::with_deadline(runnel::background(), clock::now() - 1h);
    EXPECT_TRUE(done(ctx));
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    cancel();
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
  });
}

// WithDeadline, CancelFunc: what comes first decides, also when cancel and the deadline race.
TEST_P(context_with_deadline, has_one_reason_when_cancel_and_deadline_race) {
  run([] {
    for (int i = 0; i < times(1000); ++i) {
      auto [ctx, cancel] =
          runnel::with_timeout(runnel::background(), std::chrono::microseconds(i % 60));
      test::compute_for(std::chrono::microseconds(i % 50));
      auto before = ctx.err();
      cancel();
      ASSERT_TRUE(done(ctx));
      auto after = ctx.err();
      ASSERT_TRUE(after == context_errc::canceled || after == context_errc::deadline_exceeded);
      ASSERT_TRUE(!before || before == after);
      let_others_run();
      ASSERT_EQ(ctx.err(), after);
    }
  });
}

CONFORMANCE(context_with_timeout);

// WithTimeout: it is WithDeadline of now and the timeout.
TEST_P(context_with_timeout, is_with_deadline_counted_from_now) {
  run([] {
    auto before = clock::now();
    auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 1h);
    auto after = clock::now();
    EXPECT_GE(ctx.deadline(), before + 1h);
    EXPECT_LE(ctx.deadline(), after + 1h);
    cancel();
  });
}

// WithTimeout: done is closed when the timeout elapses.
TEST_P(context_with_timeout, is_done_when_the_timeout_elapses) {
  run([] {
    auto before = clock::now();
    auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 2ms);
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_GE(clock::now(), before + 2ms);
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    cancel();
  });
}

CONFORMANCE(context_with_value);

// WithValue: a derived context in which the key has the value.
TEST_P(context_with_value, associates_the_key_with_the_value) {
  run([] {
    auto ctx = runnel::with_value<user>(runnel::background(), "gopher");
    ASSERT_NE(ctx.value<user>(), nullptr);
    EXPECT_EQ(*ctx.value<user>(), "gopher");
    EXPECT_EQ(*ctx.value<user>(), "gopher");  // successive calls return the same
  });
}

// Context.Value: nil if no value is associated with the key, which is told from others by its type.
TEST_P(context_with_value, leaves_other_keys_without) {
  run([] {
    auto ctx = runnel::with_value<user>(runnel::background(), "gopher");
    EXPECT_EQ(ctx.value<other_user>(), nullptr);
    EXPECT_EQ(ctx.value<number>(), nullptr);
  });
}

// WithValue: derived contexts have it too; the parent does not.
TEST_P(context_with_value, passes_values_on_to_derived_contexts_only) {
  run([] {
    auto [parent, cancel] = runnel::with_cancel(runnel::background());
    auto ctx = runnel::with_value<user>(parent, "gopher");
    auto [child, cancel_child] = runnel::with_timeout(runnel::with_value<number>(ctx, 5), 1h);
    EXPECT_EQ(*child.value<user>(), "gopher");
    EXPECT_EQ(*child.value<number>(), 5);
    EXPECT_EQ(parent.value<user>(), nullptr);
    EXPECT_EQ(ctx.value<number>(), nullptr);
    cancel(), cancel_child();
  });
}

// WithValue: a key that has a value already has the new one in the derived context, and the old one in the parent.
TEST_P(context_with_value, hides_the_parents_value_of_the_key) {
  run([] {
    auto parent = runnel::with_value<user>(runnel::background(), "old");
    auto child = runnel::with_value<user>(parent, "new");
    EXPECT_EQ(*child.value<user>(), "new");
    EXPECT_EQ(*parent.value<user>(), "old");
  });
}

// WithValue: in all else it is its parent.
TEST_P(context_with_value, is_canceled_with_its_parent_and_has_its_deadline) {
  run([] {
    auto when = clock::now() + 1h;
    auto [parent, cancel] = runnel::with_deadline(runnel::background(), when);
    auto ctx = runnel::with_value<number>(parent, 1);
    EXPECT_EQ(ctx.deadline(), when);
    EXPECT_FALSE(ctx.err());
    cancel();
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_EQ(ctx.err(), context_errc::canceled);
  });
}

}  // namespace
