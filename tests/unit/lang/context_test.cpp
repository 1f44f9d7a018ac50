// Cancellation, down the tree and out of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "lang/cancel_node.h"
#include "runnel/runnel.h"
#include "support/counted.h"
#include "support/scale.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::cancel_cause_func;
using runnel::cancel_func;
using runnel::context;
using runnel::context_errc;
using runnel::recv;
using runnel::run;
using runnel::select;
using runnel::with_cancel;
using runnel::with_cancel_cause;
using runnel::with_timeout;
using runnel::with_value;

const std::error_code canceled = context_errc::canceled;

struct counted_key {
  using type = test::counted;
};
struct number {
  using type = int;
};

bool is_done(const context& ctx) { return select(recv(ctx.done()), runnel::otherwise) == 0; }

std::string what(const std::exception_ptr& e) {
  if (e == nullptr) return "none";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& x) {
    return x.what();
  }
}

// Another child than this one is in nobody's list.
bool has_children(const context& ctx) {
  struct probe final : runnel::detail::cancel_child {
    bool keep() noexcept override { return true; }
    void unkeep() noexcept override {}
  } one;
  auto* node = ctx.node()->scope();
  if (!node->link(one)) return false;
  bool others = one.next != nullptr;
  node->unlink(one);
  return others;
}

TEST(context, of_the_background_is_never_cancelled) {
  for (const context& ctx : {background(), context(), runnel::without_cancel(background())}) {
    EXPECT_TRUE(ctx.done().is_nil());
    EXPECT_FALSE(ctx.err());
    EXPECT_EQ(ctx.cause(), nullptr);
    EXPECT_FALSE(ctx.deadline());
    EXPECT_FALSE(ctx.stop_token().stop_possible());
    EXPECT_EQ(ctx.value<number>(), nullptr);
  }
  EXPECT_EQ(background(), context());
}

TEST(context, says_what_its_errors_are) {
  EXPECT_EQ(canceled.message(), "context canceled");
  EXPECT_EQ(make_error_code(context_errc::deadline_exceeded).message(),
            "context deadline exceeded");
  EXPECT_STREQ(canceled.category().name(), "context");
  EXPECT_EQ(canceled, std::errc::operation_canceled);
  EXPECT_EQ(make_error_code(context_errc::deadline_exceeded), std::errc::timed_out);
  EXPECT_NE(canceled, std::errc::timed_out);
}

TEST(context, is_cancelled_by_its_function_once) {
  auto [ctx, cancel] = with_cancel(background());
  EXPECT_FALSE(ctx.err());
  EXPECT_EQ(ctx.cause(), nullptr);
  EXPECT_FALSE(is_done(ctx));
  for (int i = 0; i < 3; ++i) {
    cancel();
    EXPECT_EQ(ctx.err(), canceled);
    EXPECT_EQ(what(ctx.cause()), "context canceled");
    EXPECT_TRUE(is_done(ctx));
  }
}

TEST(context, cancels_what_is_below_and_nothing_else) {
  auto [root, cancel_root] = with_cancel(background());
  auto [left, cancel_left] = with_cancel(root);
  auto [right, cancel_right] = with_cancel(root);
  auto below = with_value<number>(with_cancel(with_value<number>(left, 1)).ctx, 2);
  cancel_left();
  EXPECT_TRUE(left.err() && below.err());
  EXPECT_TRUE(is_done(below));
  EXPECT_FALSE(root.err() || right.err());
  EXPECT_FALSE(is_done(right));
  cancel_root();
  EXPECT_TRUE(root.err() && right.err());
}

TEST(context, of_a_cancelled_parent_is_cancelled_from_the_beginning) {
  auto [root, cancel] = with_cancel_cause(background());
  cancel(std::runtime_error("enough"));
  auto [child, cancel_child] = with_cancel(root);
  EXPECT_EQ(child.err(), canceled);
  EXPECT_EQ(what(child.cause()), "enough");
  EXPECT_TRUE(is_done(child));
  auto [timed, cancel_timed] = with_timeout(root, 1h);
  EXPECT_EQ(timed.err(), canceled);
}

TEST(context, has_the_cause_that_was_given_first) {
  auto [root, cancel_root] = with_cancel_cause(background());
  auto [child, cancel_child] = with_cancel_cause(root);
  auto [grandchild, cancel_grandchild] = with_cancel(child);
  cancel_child(std::runtime_error("child"));
  cancel_child(std::runtime_error("again"));
  cancel_root(std::make_error_code(std::errc::io_error));
  EXPECT_EQ(what(child.cause()), "child");
  EXPECT_EQ(what(grandchild.cause()), "child");
  EXPECT_THROW(std::rethrow_exception(root.cause()), std::system_error);
  EXPECT_EQ(child.cause(), grandchild.cause());
  for (auto& ctx : {root, child, grandchild}) EXPECT_EQ(ctx.err(), canceled);
}

TEST(context, cancelled_without_a_cause_has_its_error_as_cause) {
  auto [ctx, cancel] = with_cancel_cause(background());
  cancel();
  try {
    std::rethrow_exception(ctx.cause());
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), canceled);
  }
}

TEST(context, always_has_the_same_channel) {
  auto [ctx, cancel] = with_cancel(background());
  auto done = ctx.done();
  EXPECT_EQ(done, ctx.done());
  EXPECT_EQ(with_value<number>(ctx, 1).done(), done);
  EXPECT_NE(with_cancel(ctx).ctx.done(), done);
  cancel();
  EXPECT_EQ(done, ctx.done());
  EXPECT_FALSE(done.recv());
}

TEST(context, has_one_channel_even_if_many_ask_for_it_first_while_it_is_cancelled) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < test::scaled(500); ++i) {
      auto [ctx, cancel] = with_cancel(background());
      std::vector<runnel::recv_chan<runnel::unit>> seen(6);
      runnel::wait_group wg;
      for (auto& one : seen) wg.go([&, &ctx = ctx] { one = ctx.done(); });
      wg.go([&cancel = cancel] { cancel(); });
      wg.wait();
      for (auto& one : seen) ASSERT_EQ(one, seen[0]);
      ASSERT_FALSE(seen[0].recv());
    }
  });
}

TEST(context, is_equal_to_its_copies_only) {
  auto [a, cancel_a] = with_cancel(background());
  auto [b, cancel_b] = with_cancel(background());
  context copy = a;
  EXPECT_EQ(copy, a);
  EXPECT_FALSE(a == b);
  copy = b;
  EXPECT_EQ(copy, b);
  context moved = std::move(copy);
  EXPECT_EQ(moved, b);
}

TEST(context, wakes_those_who_wait_for_it) {
  run({.max_procs = 2}, [] {
    auto [ctx, cancel] = with_cancel(background());
    auto child = with_cancel(ctx).ctx;
    test::waiting_goroutines others;
    for (int i = 0; i < 4; ++i) {
      others.go([c = i % 2 == 0 ? ctx : child] { EXPECT_FALSE(c.done().recv()); });
    }
    std::thread plain([&] { EXPECT_FALSE(child.done().recv()); });
    cancel();
    others.wait();
    runnel::blocking([&] { plain.join(); });
  });
}

TEST(context, may_be_cancelled_by_many_at_once_and_has_one_cause) {
  run({.max_procs = 4}, [] {
    for (int round = 0; round < test::scaled(300); ++round) {
      auto [ctx, cancel] = with_cancel_cause(background());
      auto child = with_cancel(ctx).ctx;
      std::atomic<int> different{0};
      auto work = [&, &ctx = ctx, &cancel = cancel](int i) {
        cancel(std::runtime_error(std::to_string(i)));
        std::string mine = what(ctx.cause());
        different += mine != what(ctx.cause()) || !ctx.err();
      };
      runnel::wait_group wg;
      for (int i = 0; i < 4; ++i) wg.go([&, i] { work(i); });
      std::thread plain(work, 4);
      wg.wait();
      runnel::blocking([&] { plain.join(); });
      ASSERT_EQ(different, 0);
      ASSERT_TRUE(child.err());
      ASSERT_EQ(what(child.cause()), what(ctx.cause()));
    }
  });
}

// Who has called cancel may rely on the cancellation, whoever else is at it (Go: under the context's lock).
TEST(context, is_cancelled_with_all_below_when_any_call_of_cancel_returns) {
  run({.max_procs = 4}, [] {
    std::atomic<int> unfinished{0};
    for (int round = 0; round < test::scaled(3000); ++round) {
      auto [ctx, cancel] = with_cancel(background());
      std::vector<context> children;
      for (int i = 0; i < 20; ++i) children.push_back(with_cancel(ctx).ctx);
      auto done = ctx.done();
      auto work = [&, &cancel = cancel] {
        cancel();
        unfinished += done.try_recv() != std::unexpected(runnel::chan_errc::closed) ||
                      !std::ranges::all_of(children, [](auto& c) { return bool(c.err()); });
      };
      runnel::wait_group wg;
      wg.go(work);
      wg.go(work);
      wg.wait();
    }
    EXPECT_EQ(unfinished, 0);
  });
}

// err() and done() do not contradict each other.
TEST(context, is_done_for_those_who_have_seen_its_error) {
  run({.max_procs = 4}, [] {
    int contradictions = 0;
    for (int round = 0; round < test::scaled(3000); ++round) {
      auto [ctx, cancel] = with_cancel(background());
      auto done = ctx.done();
      runnel::wait_group wg;
      wg.go([&cancel = cancel] { cancel(); });
      test::compute_until([&, &ctx = ctx] { return bool(ctx.err()); });
      contradictions += done.try_recv() != std::unexpected(runnel::chan_errc::closed);
      wg.wait();
    }
    EXPECT_EQ(contradictions, 0);
  });
}

TEST(context, shows_to_those_who_see_its_error_what_happened_before) {
  run({.max_procs = 4}, [] {
    for (int round = 0; round < test::scaled(500); ++round) {
      auto [ctx, cancel] = with_cancel(background());
      auto child = with_cancel(ctx).ctx;
      int plain = 0;
      runnel::wait_group wg;
      wg.go([&, &cancel = cancel] {
        plain = 1;
        cancel();
      });
      while (!child.err()) runnel::yield();
      ASSERT_EQ(plain, 1);
      wg.wait();
    }
  });
}

TEST(context, that_was_cancelled_leaves_nothing_in_its_parent) {
  auto [root, cancel_root] = with_cancel(background());
  EXPECT_FALSE(has_children(root));
  auto [child, cancel] = with_cancel(root);
  EXPECT_TRUE(has_children(root));
  cancel();
  EXPECT_FALSE(has_children(root));
}

TEST(context, whose_handles_are_gone_leaves_nothing_in_its_parent) {
  test::no_counted_left check;
  auto [root, cancel_root] = with_cancel(background());
  for (int i = 0; i < 1000; ++i) {
    context ctx = with_value<counted_key>(with_cancel(root).ctx, test::counted(1));
    ctx = with_timeout(ctx, 1h).ctx;
  }
  EXPECT_FALSE(has_children(root));
  EXPECT_EQ(test::counted::alive(), 0);
}

TEST(context, keeps_those_above_as_long_as_it_is_there) {
  test::no_counted_left check;
  auto [root, cancel] = with_cancel(with_value<counted_key>(background(), test::counted(7)));
  context child = with_cancel(with_cancel(root).ctx).ctx;
  root = context();
  EXPECT_EQ(child.value<counted_key>()->value(), 7);
  cancel();
  EXPECT_TRUE(child.err());
  cancel = cancel_func();
  EXPECT_EQ(child.value<counted_key>()->value(), 7);
}

TEST(context, may_lose_its_handles_in_any_order) {
  test::no_counted_left check;
  std::vector<int> order{0, 1, 2, 3, 4};
  do {
    auto [a, cancel_a] = with_cancel(with_value<counted_key>(background(), test::counted(1)));
    auto [b, cancel_b] = with_cancel(a);
    auto done = b.done();
    std::vector<context> handles(2);
    handles[0] = std::move(a);
    handles[1] = std::move(b);
    for (int what : order) {
      if (what < 2) handles[static_cast<std::size_t>(what)] = context();
      if (what == 2) cancel_a = cancel_func();
      if (what == 3) cancel_b = cancel_func();
      if (what == 4) done = {};
    }
    EXPECT_EQ(test::counted::alive(), 0);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(context, a_cancel_function_works_when_all_other_handles_are_gone) {
  auto [ctx, cancel] = with_cancel(background());
  context child = with_cancel(ctx).ctx;
  ctx = context();
  cancel();
  cancel();
  EXPECT_TRUE(child.err());
  cancel_func()();
  cancel_cause_func()();
}

TEST(context, cancels_ten_thousand_children) {
  run([] {
    auto [root, cancel] = with_cancel(background());
    std::vector<context> children;
    for (int i = 0; i < 10'000; ++i) children.push_back(with_cancel(root).ctx);
    cancel();
    EXPECT_TRUE(std::ranges::all_of(children, [](auto& c) { return bool(c.err()); }));
    EXPECT_FALSE(has_children(root));
  });
}

TEST(context, in_a_chain_of_a_hundred_thousand_is_destroyed_without_a_stack_of_that_depth) {
  test::no_counted_left check;
  run([] {
    context ctx = with_value<counted_key>(background(), test::counted(1));
    for (int i = 0; i < 100'000; ++i) {
      ctx = i % 2 == 0 ? with_cancel(ctx).ctx : with_value<number>(ctx, i);
    }
    EXPECT_EQ(*ctx.value<number>(), 99'999);
    ctx = context();
  });
}

TEST(context, in_a_chain_of_a_hundred_thousand_is_cancelled_without_a_stack_of_that_depth) {
  run([] {
    auto [root, cancel] = with_cancel_cause(background());
    context ctx = root;
    for (int i = 0; i < 100'000; ++i) ctx = with_cancel(ctx).ctx;
    cancel(std::runtime_error("enough"));
    EXPECT_EQ(ctx.err(), canceled);
    EXPECT_EQ(what(ctx.cause()), "enough");
  });
}

TEST(context, whose_channel_alone_is_held_is_cancelled_with_its_parent) {
  auto [root, cancel] = with_cancel(background());
  auto done = with_cancel(root).ctx.done();
  cancel();
  EXPECT_EQ(done.try_recv(), std::unexpected(runnel::chan_errc::closed));
}

}  // namespace
