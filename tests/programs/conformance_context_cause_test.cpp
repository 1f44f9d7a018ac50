// The documentation of package context on WithCancelCause, Cause, WithoutCancel and AfterFunc.

#include <runnel/context.h>
#include <runnel/select.h>

#include <stdexcept>
#include <string>
#include <system_error>

#include "programs/conformance.h"

namespace {

using namespace std::chrono_literals;
using conformance::background, conformance::let_others_run, conformance::times;
using runnel::context, runnel::context_errc, runnel::make_chan;
using test::clock;

// Whether done() is closed.
bool done(const context& ctx) {
  return runnel::select(runnel::recv(ctx.done()), runnel::otherwise) == 0;
}
bool becomes_done(const context& ctx) {
  return ctx.done().recv_for(30s).error() == runnel::chan_errc::closed;
}

std::exception_ptr error(const char* text) {
  return std::make_exception_ptr(std::runtime_error(text));
}
std::string text_of(const std::exception_ptr& e) {
  if (!e) return "none";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& x) {
    return x.what();
  }
}
// The cause is nothing but what err() says.
bool cause_is_err(const context& ctx) {
  try {
    if (ctx.cause()) std::rethrow_exception(ctx.cause());
  } catch (const std::system_error& e) {
    return e.code() == ctx.err();
  }
  return false;
}

CONFORMANCE(context_with_cancel_cause);

// WithCancelCause: canceling with an error records it; Cause returns it.
TEST_P(context_with_cancel_cause, records_the_error_as_cause) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel_cause(runnel::background());
    cancel(error("my error"));
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_EQ(text_of(ctx.cause()), "my error");
  });
}

// WithCancelCause: it behaves like WithCancel otherwise: the error is still that it was canceled.
TEST_P(context_with_cancel_cause, is_canceled_like_any_other) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel_cause(runnel::background());
    EXPECT_FALSE(done(ctx));
    cancel(error("my error"));
    EXPECT_EQ(ctx.err(), context_errc::canceled);
    auto [parent, cancel_parent] = runnel::with_cancel(runnel::background());
    auto [child, cancel_child] = runnel::with_cancel_cause(parent);
    cancel_parent();
    EXPECT_TRUE(becomes_done(child));
    cancel_child(nullptr);
  });
}

// WithCancelCause: canceling with nil sets the cause to: canceled.
TEST_P(context_with_cancel_cause, canceled_without_an_error_has_canceled_as_cause) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel_cause(runnel::background());
    cancel(nullptr);
    EXPECT_EQ(ctx.err(), context_errc::canceled);
    EXPECT_TRUE(cause_is_err(ctx));
  });
}

// CancelCauseFunc: if the context has been canceled already, it does not set the cause.
TEST_P(context_with_cancel_cause, keeps_the_first_cause) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel_cause(runnel::background());
    cancel(error("first"));
    cancel(error("second"));
    cancel(nullptr);
    EXPECT_EQ(text_of(ctx.cause()), "first");
  });
}

// The same when several cancel it at once: one of their errors is the cause, for good.
TEST_P(context_with_cancel_cause, has_one_cause_when_several_cancel_it_at_once) {
  run([] {
    for (int i = 0; i < times(300); ++i) {
      auto [ctx, cancel] = runnel::with_cancel_cause(runnel::background());
      runnel::wait_group wg;
      std::vector<std::string> seen(4);
      for (std::size_t g = 0; g < 4; ++g) {
        wg.go([&seen, g, c = ctx, &cancel] {
          cancel(error(std::to_string(g).c_str()));
          seen[g] = text_of(c.cause());
        });
      }
      wg.wait();
      for (auto& s : seen) {
        ASSERT_EQ(s, seen[0]);
        ASSERT_NE(s, "none");
      }
    }
  });
}

// CancelCauseFunc, the example: a child canceled before its parent, and with another cause, keeps its own.
TEST_P(context_with_cancel_cause, keeps_its_cause_when_the_parent_is_canceled_later) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel_cause(runnel::background());
    auto [child, cancel_child] = runnel::with_cancel_cause(parent);
    cancel_child(error("child"));
    cancel_parent(error("parent"));
    EXPECT_EQ(text_of(parent.cause()), "parent");
    EXPECT_EQ(text_of(child.cause()), "child");
  });
}

// The same the other way: canceled by its parent, it has the parent's cause.
TEST_P(context_with_cancel_cause, has_the_parents_cause_when_the_parent_is_canceled_first) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel_cause(runnel::background());
    auto [child, cancel_child] = runnel::with_cancel_cause(parent);
    cancel_parent(error("parent"));
    EXPECT_TRUE(becomes_done(child));
    cancel_child(error("child"));
    EXPECT_EQ(text_of(parent.cause()), "parent");
    EXPECT_EQ(text_of(child.cause()), "parent");
  });
}

CONFORMANCE(context_cause);

// Cause: nil if the context has not been canceled yet.
TEST_P(context_cause, is_none_before_the_context_is_canceled) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel_cause(runnel::background());
    auto [child, cancel_child] = runnel::with_cancel(ctx);
    EXPECT_EQ(ctx.cause(), nullptr);
    EXPECT_EQ(child.cause(), nullptr);
    cancel(nullptr);
  });
}

// Cause: the first cancellation of the context or one of its parents sets it, through contexts of every kind.
TEST_P(context_cause, comes_from_the_first_cancellation_of_the_context_or_a_parent) {
  struct key {
    using type = int;
  };
  run([] {
    auto [top, cancel] = runnel::with_cancel_cause(runnel::background());
    auto [a, cancel_a] = runnel::with_cancel(top);
    auto [b, cancel_b] = runnel::with_timeout(runnel::with_value<key>(a, 1), 1h);
    cancel(error("at the top"));
    EXPECT_TRUE(becomes_done(b));
    EXPECT_EQ(text_of(a.cause()), "at the top");
    EXPECT_EQ(text_of(b.cause()), "at the top");
    cancel_a(), cancel_b();
  });
}

// Cause: otherwise it is the same as the error: canceled.
TEST_P(context_cause, is_the_error_where_cancel_was_called_without_a_cause) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    cancel();
    EXPECT_TRUE(cause_is_err(ctx));
  });
}

// The same: the deadline exceeded.
TEST_P(context_cause, is_the_error_where_the_deadline_expired) {
  run([] {
    auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 10us);
    EXPECT_TRUE(becomes_done(ctx));
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    EXPECT_TRUE(cause_is_err(ctx));
    cancel();
  });
}

CONFORMANCE(context_without_cancel);

// WithoutCancel: a derived context that is not canceled when its parent is.
TEST_P(context_without_cancel, is_not_canceled_when_its_parent_is) {
  run([] {
    auto [parent, cancel] = runnel::with_cancel(runnel::background());
    auto before = runnel::without_cancel(parent);
    cancel();
    auto after = runnel::without_cancel(parent);
    let_others_run();
    EXPECT_FALSE(done(before));
    EXPECT_FALSE(done(after));
  });
}

// WithoutCancel: it has no deadline and no error.
TEST_P(context_without_cancel, has_no_deadline_and_no_error) {
  run([] {
    auto [parent, cancel] = runnel::with_timeout(runnel::background(), 10us);
    auto ctx = runnel::without_cancel(parent);
    EXPECT_TRUE(becomes_done(parent));
    EXPECT_FALSE(ctx.deadline().has_value());
    EXPECT_FALSE(ctx.err());
    cancel();
  });
}

// WithoutCancel: its done channel is nil.
TEST_P(context_without_cancel, has_no_done_channel) {
  run([] {
    auto [parent, cancel] = runnel::with_cancel(runnel::background());
    EXPECT_TRUE(runnel::without_cancel(parent).done().is_nil());
    cancel();
  });
}

// WithoutCancel: asking for its cause gives none.
TEST_P(context_without_cancel, has_no_cause) {
  run([] {
    auto [parent, cancel] = runnel::with_cancel_cause(runnel::background());
    auto ctx = runnel::without_cancel(parent);
    cancel(error("parent"));
    EXPECT_EQ(ctx.cause(), nullptr);
  });
}

// WithoutCancel: it is derived from the parent: it has its values.
TEST_P(context_without_cancel, has_its_parents_values) {
  struct key {
    using type = int;
  };
  run([] {
    auto ctx = runnel::without_cancel(runnel::with_value<key>(runnel::background(), 3));
    ASSERT_NE(ctx.value<key>(), nullptr);
    EXPECT_EQ(*ctx.value<key>(), 3);
  });
}

// WithoutCancel: what is derived from it may be canceled again.
TEST_P(context_without_cancel, may_have_children_that_are_canceled) {
  run([] {
    auto [parent, cancel_parent] = runnel::with_cancel(runnel::background());
    auto [child, cancel] = runnel::with_cancel(runnel::without_cancel(parent));
    cancel_parent();
    EXPECT_FALSE(done(child));
    cancel();
    EXPECT_TRUE(becomes_done(child));
  });
}

CONFORMANCE(context_after_func);

// AfterFunc: calls f in its own goroutine after the context is canceled, and not before.
TEST_P(context_after_func, calls_f_in_its_own_goroutine_after_the_context_is_canceled) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    auto called = make_chan<std::uint64_t>(1);
    auto stop = runnel::after_func(ctx, [called, c = ctx] {
      EXPECT_EQ(c.err(), context_errc::canceled);
      called.send(runnel::goroutine_id());
    });
    let_others_run();
    EXPECT_EQ(called.len(), 0U);
    cancel();
    auto who = called.recv_for(30s);
    ASSERT_TRUE(who.has_value());
    EXPECT_NE(*who, runnel::goroutine_id());
  });
}

// The same after a deadline.
TEST_P(context_after_func, calls_f_after_the_deadline) {
  run([] {
    auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 1ms);
    auto called = make_chan<int>(1);
    auto stop = runnel::after_func(ctx, [called] { called.send(1); });
    EXPECT_EQ(called.recv_for(30s), 1);
    EXPECT_EQ(ctx.err(), context_errc::deadline_exceeded);
    cancel();
  });
}

// AfterFunc: if the context is canceled already, f is called immediately in its own goroutine.
TEST_P(context_after_func, calls_f_at_once_if_the_context_is_canceled_already) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    cancel();
    auto called = make_chan<std::uint64_t>();
    auto stop = runnel::after_func(ctx, [called] { called.send(runnel::goroutine_id()); });
    auto who = called.recv_for(30s);  // unbuffered: this goroutine could not meet itself
    ASSERT_TRUE(who.has_value());
    EXPECT_NE(*who, runnel::goroutine_id());
  });
}

// AfterFunc: several calls on one context are independent; none replaces another.
TEST_P(context_after_func, may_be_called_several_times_on_one_context) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    auto called = make_chan<int>(10);
    auto stop1 = runnel::after_func(ctx, [called] { called.send(1); });
    auto stop2 = runnel::after_func(ctx, [called] { called.send(10); });
    auto stop3 = runnel::after_func(ctx, [called] { called.send(100); });
    EXPECT_TRUE(stop2());
    cancel();
    int sum = 0;
    for (int i = 0; i < 2; ++i) sum += called.recv_for(30s).value_or(0);
    EXPECT_EQ(sum, 101);
    let_others_run();
    EXPECT_EQ(called.len(), 0U);
  });
}

// AfterFunc: stop ends the association of f with the context; true if it kept f from being run.
TEST_P(context_after_func, does_not_call_f_once_stop_has_returned_true) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    std::atomic<int> calls{0};
    auto stop = runnel::after_func(ctx, [&] { ++calls; });
    EXPECT_TRUE(stop());
    cancel();
    let_others_run();
    EXPECT_EQ(calls, 0);
  });
}

// AfterFunc: stop returns false if f was already stopped.
TEST_P(context_after_func, is_not_stopped_twice) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    auto stop = runnel::after_func(ctx, [] {});
    EXPECT_TRUE(stop());
    EXPECT_FALSE(stop());
    cancel();
    EXPECT_FALSE(stop());
  });
}

// AfterFunc: or if the context is canceled and f has been started, also when that races.
TEST_P(context_after_func, calls_f_exactly_once_if_stop_returns_false) {
  run([] {
    for (int i = 0; i < times(500); ++i) {
      auto [ctx, cancel] = runnel::with_cancel(runnel::background());
      auto calls = std::make_shared<std::atomic<int>>(0);
      auto stop = runnel::after_func(ctx, [calls] { ++*calls; });
      background canceling([&cancel] { cancel(); });
      if (i % 2 == 0) runnel::yield();
      bool stopped = stop();
      ASSERT_TRUE(canceling.ends());
      ASSERT_TRUE(stopped || test::eventually([&] { return *calls == 1; }));
      let_others_run();
      ASSERT_EQ(*calls, stopped ? 0 : 1);
    }
  });
}

// AfterFunc: stop does not wait for f to complete.
TEST_P(context_after_func, is_stopped_without_waiting_for_f) {
  run([] {
    auto [ctx, cancel] = runnel::with_cancel(runnel::background());
    auto begun = make_chan<int>(), gate = make_chan<int>();
    auto stop = runnel::after_func(ctx, [=] { begun.send(1), gate.recv(); });
    cancel();
    begun.recv();
    EXPECT_FALSE(stop());  // f is in the middle of it
    gate.send(1);
  });
}

}  // namespace
