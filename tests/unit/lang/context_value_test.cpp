// Values of contexts.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "runnel/runnel.h"
#include "support/counted.h"

namespace {

using namespace std::chrono_literals;
using runnel::background;
using runnel::context;
using runnel::with_cancel;
using runnel::with_value;
using runnel::without_cancel;

struct user {
  using type = std::string;
};
struct number {
  using type = int;
};
struct other_number {
  using type = int;
};
struct counted_key {
  using type = test::counted;
};
struct unique {
  using type = std::unique_ptr<int>;
};

TEST(context_value, is_found_by_its_key) {
  context ctx = with_value<user>(with_value<number>(background(), 7), "ann");
  EXPECT_EQ(*ctx.value<user>(), "ann");
  EXPECT_EQ(*ctx.value<number>(), 7);
  EXPECT_EQ(ctx.value<other_number>(), nullptr);
}

TEST(context_value, is_not_found_above) {
  context above = with_value<number>(background(), 1);
  context below = with_value<user>(above, "ann");
  EXPECT_EQ(above.value<user>(), nullptr);
  EXPECT_EQ(*below.value<number>(), 1);
}

TEST(context_value, hides_the_one_of_the_same_key_above) {
  context above = with_value<number>(background(), 1);
  context below = with_value<number>(with_cancel(above).ctx, 2);
  EXPECT_EQ(*below.value<number>(), 2);
  EXPECT_EQ(*above.value<number>(), 1);
}

TEST(context_value, is_always_the_same_object_and_is_not_copied) {
  test::no_counted_left check;
  context ctx = with_value<counted_key>(background(), test::counted(3));
  const test::counted* at = ctx.value<counted_key>();
  long moves = test::counted::moves();
  context below = with_cancel(with_cancel(ctx).ctx).ctx;
  EXPECT_EQ(below.value<counted_key>(), at);
  EXPECT_EQ(at->value(), 3);
  EXPECT_EQ(test::counted::moves(), moves);
}

TEST(context_value, may_only_be_movable) {
  context ctx = with_value<unique>(background(), std::make_unique<int>(5));
  EXPECT_EQ(**ctx.value<unique>(), 5);
}

TEST(context_value, lives_as_long_as_a_context_below) {
  test::no_counted_left check;
  context below;
  {
    context above = with_value<counted_key>(background(), test::counted(3));
    below = with_value<number>(with_cancel(above).ctx, 1);
  }
  EXPECT_EQ(below.value<counted_key>()->value(), 3);
  below = context();
  EXPECT_EQ(test::counted::alive(), 0);
}

TEST(context_value, survives_the_cancellation) {
  auto [ctx, cancel] = with_cancel(with_value<number>(background(), 1));
  cancel();
  EXPECT_EQ(*ctx.value<number>(), 1);
}

TEST(context_value, does_not_hide_cancellation_and_deadline) {
  auto [root, cancel] = with_timeout(background(), 1h);
  context ctx = with_value<number>(root, 1);
  EXPECT_EQ(ctx.deadline(), root.deadline());
  EXPECT_EQ(ctx.done(), root.done());
  cancel();
  EXPECT_TRUE(ctx.err());
}

TEST(context_value, is_what_without_cancel_leaves) {
  auto [root, cancel] = with_timeout(with_value<number>(background(), 1), 1h);
  context ctx = without_cancel(root);
  auto [child, cancel_child] = with_cancel(ctx);
  cancel();
  EXPECT_EQ(*ctx.value<number>(), 1);
  EXPECT_TRUE(ctx.done().is_nil());
  EXPECT_FALSE(ctx.err() || child.err());
  EXPECT_EQ(ctx.cause(), nullptr);
  cancel_child();
  EXPECT_TRUE(child.err());
  EXPECT_EQ(*child.value<number>(), 1);
}

}  // namespace
