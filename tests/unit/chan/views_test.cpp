// Views: a channel seen from one end. And range-for.

#include <gtest/gtest.h>

#include <concepts>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::chan;
using runnel::make_chan;
using runnel::recv_chan;
using runnel::run;
using runnel::send_chan;

template <class C>
concept sends = requires(const C& c, typename C::value_type v) {
  c.send(std::move(v));
  c.try_send(v);
  c.send_for(v, 1ms);
  c.close();
};
template <class C>
concept receives = requires(const C& c) {
  c.recv();
  c.try_recv();
  c.recv_for(1ms);
  c.begin();
};
template <class C>
concept sends_in_select =
    requires(const C& c, typename C::value_type v) { runnel::send(c, std::move(v)); };
template <class C>
concept receives_in_select = requires(const C& c) { runnel::recv(c); };
template <class C>
concept sends_in_selector = requires(runnel::selector& s, const C& c, typename C::value_type v) {
  s.send(c, std::move(v));
};
template <class C>
concept receives_in_selector = requires(runnel::selector& s, const C& c) { s.recv(c); };

TEST(views, offer_what_their_end_can_do) {
  EXPECT_TRUE(sends<chan<int>> && receives<chan<int>>);
  EXPECT_TRUE(sends<send_chan<int>> && !receives<send_chan<int>>);
  EXPECT_TRUE(receives<recv_chan<int>> && !sends<recv_chan<int>>);
}

TEST(views, offer_in_a_select_what_their_end_can_do) {
  EXPECT_TRUE(sends_in_select<chan<int>> && receives_in_select<chan<int>>);
  EXPECT_TRUE(sends_in_select<send_chan<int>> && !receives_in_select<send_chan<int>>);
  EXPECT_TRUE(receives_in_select<recv_chan<int>> && !sends_in_select<recv_chan<int>>);
}

TEST(views, offer_in_a_selector_what_their_end_can_do) {
  EXPECT_TRUE(sends_in_selector<chan<int>> && receives_in_selector<chan<int>>);
  EXPECT_TRUE(sends_in_selector<send_chan<int>> && receives_in_selector<recv_chan<int>>);
  EXPECT_FALSE(receives_in_selector<send_chan<int>>);
  EXPECT_FALSE(sends_in_selector<recv_chan<int>>);
}

TEST(views, come_from_a_channel_and_do_not_lead_back) {
  EXPECT_TRUE((std::convertible_to<chan<int>, send_chan<int>>));
  EXPECT_TRUE((std::convertible_to<chan<int>, recv_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<chan<int>, send_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<chan<int>, recv_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<send_chan<int>, recv_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<recv_chan<int>, send_chan<int>>));
}

TEST(views, are_of_the_channels_element_type) {
  EXPECT_FALSE((std::is_constructible_v<chan<int>, chan<long>>));
  EXPECT_FALSE((std::is_constructible_v<send_chan<int>, chan<long>>));
  EXPECT_FALSE((std::is_constructible_v<recv_chan<int>, chan<long>>));
  EXPECT_FALSE((std::equality_comparable_with<chan<int>, chan<long>>));
}

TEST(views, mean_the_same_channel) {
  auto ch = make_chan<int>(2), other = make_chan<int>(2);
  send_chan<int> in = ch;
  recv_chan<int> out = ch;
  EXPECT_TRUE(in == ch && out == ch && in == out);
  EXPECT_TRUE(out != other && in != other);
  in.send(1);
  EXPECT_EQ(in.len(), 1U);
  EXPECT_EQ(out.cap(), 2U);
  EXPECT_EQ(out.recv(), 1);
  in.close();
  EXPECT_EQ(out.recv(), std::nullopt);
}

TEST(views, of_nil_are_nil) {
  send_chan<int> in;
  recv_chan<int> out = chan<int>();
  EXPECT_TRUE(in.is_nil() && out.is_nil() && !in && !out && in == out);
  EXPECT_FALSE(in.try_send(1));
  EXPECT_FALSE(out.try_recv());
}

TEST(views, keep_the_channel) {
  recv_chan<std::unique_ptr<int>> out;
  {
    auto ch = make_chan<std::unique_ptr<int>>(1);
    ch.send(std::make_unique<int>(4));
    out = ch;
  }
  EXPECT_EQ(**out.recv(), 4);
}

TEST(views, take_part_in_selects) {
  run([] {
    auto ch = make_chan<int>(1);
    send_chan<int> in = ch;
    recv_chan<int> out = ch;
    EXPECT_EQ(runnel::select(runnel::recv(out), runnel::send(in, 5)), 1U);
    std::optional<int> got;
    EXPECT_EQ(runnel::select(runnel::recv(out, got), runnel::send(in, 6)), 0U);
    EXPECT_EQ(got, 5);
    int handled = 0;
    runnel::select(runnel::send(in, 7, [&] { ++handled; }));
    runnel::select(runnel::recv(out, [&](std::optional<int> v) { handled += *v; }));
    EXPECT_EQ(handled, 8);
  });
}

// --- for (T v : ch) ---

TEST(range_for, receives_until_the_channel_is_closed_and_drained) {
  run({.max_procs = 2}, [] {
    auto ch = make_chan<int>(3);
    runnel::go([ch] {
      for (int i = 0; i < 100; ++i) ch.send(i);
      ch.close();
    });
    int expected = 0;
    for (int v : ch) EXPECT_EQ(v, expected++);
    EXPECT_EQ(expected, 100);
  });
}

TEST(range_for, takes_values_that_can_only_be_moved) {
  auto ch = make_chan<std::unique_ptr<std::string>>(2);
  ch.send(std::make_unique<std::string>("a"));
  ch.send(std::make_unique<std::string>("b"));
  ch.close();
  std::string all;
  for (std::unique_ptr<std::string> v : ch) all += *v;
  EXPECT_EQ(all, "ab");
}

TEST(range_for, over_a_view_or_a_temporary_keeps_the_channel) {
  std::vector<int> got;
  auto filled = [] {
    auto ch = make_chan<int>(3);
    for (int i = 0; i < 3; ++i) ch.send(i);
    ch.close();
    return recv_chan<int>(ch);
  };
  for (int v : filled()) got.push_back(v);
  EXPECT_EQ(got, (std::vector{0, 1, 2}));
}

TEST(range_for, that_is_left_leaves_the_rest) {
  auto ch = make_chan<int>(3);
  for (int i = 0; i < 3; ++i) ch.send(i);
  for (int v : ch) {
    if (v == 1) break;
  }
  EXPECT_EQ(ch.recv(), 2);
}

TEST(range_for, does_not_receive_ahead) {
  auto ch = make_chan<int>(3);
  for (int i = 0; i < 3; ++i) ch.send(i);
  for (int v : ch) {
    EXPECT_EQ(ch.len(), static_cast<std::size_t>(2 - v));
    if (v == 2) break;
  }
}

}  // namespace
