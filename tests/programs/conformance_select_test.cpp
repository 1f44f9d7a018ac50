// The Go specification on select statements.

#include <runnel/select.h>

#include <cmath>
#include <memory>
#include <vector>

#include "programs/conformance.h"

namespace {

using conformance::background, conformance::blocks_for_ever, conformance::let_others_run;
using conformance::panic_of, conformance::times;
using runnel::chan, runnel::make_chan, runnel::recv_chan;
using runnel::recv, runnel::send, runnel::select, runnel::otherwise;

using counts = std::vector<long>;

// Whether these are plausible frequencies of outcomes that are equally likely. By the tail bound of Laurent and
// Massart, chi-square exceeds the limit by chance less often than once in 10^13.
bool uniform(const counts& frequencies) {
  double total = 0, chi_square = 0, cells = static_cast<double>(frequencies.size());
  for (long f : frequencies) total += static_cast<double>(f);
  for (long f : frequencies) {
    double off = static_cast<double>(f) - total / cells;
    chi_square += off * off / (total / cells);
  }
  constexpr double x = 30;
  return chi_square <= (cells - 1) + 2 * std::sqrt((cells - 1) * x) + 2 * x;
}

constexpr int picks = 10'000;

CONFORMANCE(select_statements);

// Section "Select statements", step 1: the channels of all cases and the values to be sent are evaluated exactly
// once on entering the statement, whichever case is selected.
TEST_P(select_statements, evaluate_channels_and_values_of_all_cases_exactly_once) {
  run([] {
    auto ready = make_chan<int>(1), full = make_chan<int>();
    ready.send(1);
    int evaluated = 0;
    auto see = [&](auto x) {
      ++evaluated;
      return x;
    };
    EXPECT_EQ(select(send(see(full), see(2)), recv(see(ready)), recv(see(chan<int>()))), 1U);
    EXPECT_EQ(evaluated, 4);
    EXPECT_EQ(select(send(see(full), see(2)), recv(see(ready)), otherwise), 2U);
    EXPECT_EQ(evaluated, 7);
  });
}

// The same of a select that blocks: they are evaluated before, and not again.
TEST_P(select_statements, that_block_have_evaluated_their_operands) {
  run([] {
    auto ch = make_chan<int>();
    std::atomic<int> evaluated{0};
    background selecting([&] { select(send(ch, ++evaluated), recv(chan<int>())); });
    EXPECT_TRUE(selecting.stays_blocked());
    EXPECT_TRUE(test::eventually([&] { return evaluated == 1; }));
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_TRUE(selecting.ends());
    EXPECT_EQ(evaluated, 1);
  });
}

// Section "Select statements", step 2: among the communications that can proceed, one is chosen uniformly at random.
TEST_P(select_statements, choose_uniformly_among_receives_that_can_proceed) {
  run([] {
    auto a = make_chan<int>(), b = make_chan<int>(), c = make_chan<int>();
    a.close(), b.close(), c.close();
    counts two(2, 0), three(3, 0);
    for (int i = 0; i < picks; ++i) {
      ++two[select(recv(a), recv(b))];
      ++three[select(recv(a), recv(b), recv(c))];
    }
    EXPECT_TRUE(uniform(two)) << two[0] << ' ' << two[1];
    EXPECT_TRUE(uniform(three)) << three[0] << ' ' << three[1] << ' ' << three[2];
  });
}

// The same of sends and receives together.
TEST_P(select_statements, choose_uniformly_among_sends_and_receives_that_can_proceed) {
  run([] {
    auto in = make_chan<int>(picks), out = make_chan<int>(picks), more = make_chan<int>(picks);
    for (int i = 0; i < picks; ++i) out.send(i);
    counts taken(3, 0);
    for (int i = 0; i < picks; ++i) ++taken[select(send(in, i), recv(out), send(more, i))];
    EXPECT_TRUE(uniform(taken)) << taken[0] << ' ' << taken[1] << ' ' << taken[2];
    EXPECT_EQ(static_cast<long>(in.len()), taken[0]);
    EXPECT_EQ(static_cast<long>(out.len()), picks - taken[1]);
  });
}

// The same where only some can proceed: the choice is uniform among those, and no other is taken.
TEST_P(select_statements, choose_uniformly_among_those_only_that_can_proceed) {
  run([] {
    auto a = make_chan<int>(), b = make_chan<int>(), never = make_chan<int>();
    a.close(), b.close();
    counts taken(6, 0);
    for (int i = 0; i < picks; ++i) {
      ++taken[select(recv(never), recv(a), send(never, 1), recv(chan<int>()), recv(b), otherwise)];
    }
    EXPECT_TRUE(uniform({taken[1], taken[4]})) << taken[1] << ' ' << taken[4];
    EXPECT_EQ(taken[0] + taken[2] + taken[3] + taken[5], 0);
  });
}

// The same: the choice is random, not in turn. The picks are as independent as throws of a die.
TEST_P(select_statements, choose_independently_of_their_last_choice) {
  run([] {
    auto a = make_chan<int>(), b = make_chan<int>(), c = make_chan<int>();
    a.close(), b.close(), c.close();
    counts pairs(9, 0);
    std::size_t last = 0;
    for (int i = 0; i < picks; ++i) {
      std::size_t now = select(recv(a), recv(b), recv(c));
      ++pairs[last * 3 + now];
      last = now;
    }
    EXPECT_TRUE(uniform(pairs));
  });
}

// Section "Select statements", the example: two sends of different values to one channel make random bits.
TEST_P(select_statements, with_two_sends_to_one_channel_make_a_random_sequence_of_bits) {
  run([] {
    auto bits = make_chan<int>();
    background source([=] {
      for (int i = 0; i < picks; ++i) select(send(bits, 0), send(bits, 1));
      bits.close();
    });
    counts seen(4, 0);
    std::size_t last = 0;
    for (int bit : bits) {
      ++seen[last * 2 + static_cast<std::size_t>(bit)];
      last = static_cast<std::size_t>(bit);
    }
    EXPECT_TRUE(source.ends());
    EXPECT_EQ(seen[0] + seen[1] + seen[2] + seen[3], picks);
    EXPECT_TRUE(uniform(seen)) << seen[0] << ' ' << seen[1] << ' ' << seen[2] << ' ' << seen[3];
  });
}

// Section "Select statements", step 2: otherwise, if there is a default case, that one is chosen.
TEST_P(select_statements, choose_the_default_when_no_communication_can_proceed) {
  run([] {
    auto empty = make_chan<int>(3), full = make_chan<int>(1), unbuffered = make_chan<int>();
    full.send(1);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(select(recv(empty), otherwise, send(full, 2), send(unbuffered, 3)), 1U);
      EXPECT_EQ(select(otherwise), 0U);
    }
    EXPECT_EQ(full.len(), 1U);
  });
}

// The same: and not when one can.
TEST_P(select_statements, do_not_choose_the_default_when_a_communication_can_proceed) {
  run([] {
    auto ch = make_chan<int>(1);
    for (int i = 0; i < 1000; ++i) {
      ASSERT_EQ(select(otherwise, send(ch, i)), 1U);
      ASSERT_EQ(select(recv(ch), otherwise), 0U);
    }
    background sender([=] { ch.send(1), ch.send(2); });
    EXPECT_TRUE(test::eventually([&] { return ch.len() == 1; }));
    let_others_run();
    EXPECT_EQ(select(otherwise, recv(ch)), 1U);
    EXPECT_EQ(ch.recv(), 2);
    EXPECT_TRUE(sender.ends());
  });
}

// Section "Select statements", step 2: without a default it blocks until at least one communication can proceed.
// Here: until someone sends.
TEST_P(select_statements, block_until_someone_sends) {
  run([] {
    for (std::size_t capacity : {0, 1}) {
      auto a = make_chan<int>(capacity), b = make_chan<int>(capacity);
      std::optional<int> got;
      background selecting([&] { EXPECT_EQ(select(recv(a), recv(b, got)), 1U); });
      EXPECT_TRUE(selecting.stays_blocked());
      b.send(5);
      EXPECT_TRUE(selecting.ends());
      EXPECT_EQ(got, 5);
    }
  });
}

// The same: until someone receives.
TEST_P(select_statements, block_until_someone_receives) {
  run([] {
    for (std::size_t capacity : {0, 1}) {
      auto a = make_chan<int>(capacity), b = make_chan<int>(capacity);
      if (capacity == 1) a.send(0), b.send(0);
      background selecting([&] { EXPECT_EQ(select(send(a, 1), send(b, 2)), 1U); });
      EXPECT_TRUE(selecting.stays_blocked());
      if (capacity == 1) b.recv();
      EXPECT_EQ(b.recv(), 2);
      EXPECT_TRUE(selecting.ends());
      EXPECT_EQ(a.len(), capacity);
    }
  });
}

// The same: until someone closes a channel it receives from, for then a receive can proceed.
TEST_P(select_statements, block_until_someone_closes) {
  run([] {
    auto a = make_chan<int>(), b = make_chan<int>();
    std::optional<int> got = 7;
    background selecting([&] { EXPECT_EQ(select(send(a, 1), recv(b, got)), 1U); });
    EXPECT_TRUE(selecting.stays_blocked());
    b.close();
    EXPECT_TRUE(selecting.ends());
    EXPECT_FALSE(got.has_value());
  });
}

// Section "Select statements", step 3: unless the default is chosen, the communication of the selected case is
// executed, and no other.
TEST_P(select_statements, execute_the_selected_communication_and_no_other) {
  run([] {
    for (int i = 0; i < 200; ++i) {
      auto in = make_chan<int>(1), out = make_chan<int>(1);
      out.send(1);
      std::size_t taken = select(send(in, 2), recv(out));
      ASSERT_EQ(in.len(), taken == 0 ? 1U : 0U);
      ASSERT_EQ(out.len(), taken == 0 ? 1U : 0U);
    }
  });
}

// The same of a select that was blocked while several communications became possible at once.
TEST_P(select_statements, that_were_blocked_execute_one_of_several_that_became_possible) {
  run([] {
    for (int i = 0; i < times(500); ++i) {
      auto a = make_chan<int>(1), b = make_chan<int>(1);
      background selecting([&] { select(recv(a), recv(b)); });
      runnel::wait_group senders;
      senders.go([=] { a.send(1); });
      senders.go([=] { b.send(1); });
      senders.wait();
      ASSERT_TRUE(selecting.ends());
      ASSERT_EQ(a.len() + b.len(), 1U);
    }
  });
}

// The same: the value of a case that is not selected is not used up.
TEST_P(select_statements, leave_the_values_of_other_cases_untouched) {
  run([] {
    auto full = make_chan<std::unique_ptr<int>>(), room = make_chan<std::unique_ptr<int>>(1);
    auto kept = std::make_unique<int>(1), sent = std::make_unique<int>(2);
    EXPECT_EQ(select(send(full, std::move(kept)), otherwise), 1U);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(select(send(full, std::move(kept)), send(room, std::move(sent))), 1U);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(sent, nullptr);
    EXPECT_EQ(**room.recv(), 2);
  });
}

// Section "Select statements", step 4: if the selected case receives, the value is assigned, before step 5.
TEST_P(select_statements, assign_the_received_value) {
  run([] {
    auto ch = make_chan<int>(2), other = make_chan<int>();
    ch.send(1), ch.send(0);
    ch.close();
    std::optional<int> v, untouched = 9;
    EXPECT_EQ(select(recv(ch, v), recv(other, untouched)), 0U);
    EXPECT_EQ(v, 1);
    EXPECT_EQ(select(recv(ch, v), recv(other, untouched)), 0U);
    EXPECT_EQ(v, 0);
    EXPECT_EQ(select(recv(ch, v), recv(other, untouched)), 0U);
    EXPECT_FALSE(v.has_value());
    EXPECT_EQ(untouched, 9);
  });
}

// Section "Select statements", step 5: the statements of the selected case are executed, and no others.
TEST_P(select_statements, execute_the_statements_of_the_selected_case_and_no_others) {
  run([] {
    auto in = make_chan<int>(1), out = make_chan<int>(1);
    std::string log;
    auto step = [&](int i) {
      select(send(in, i, [&] { log += 's'; }),
             recv(out, [&](std::optional<int> v) { log += std::to_string(v.value_or(0)); }),
             otherwise([&] { log += 'd'; }));
    };
    step(1), step(2);
    out.send(5);
    step(3);
    out.close();
    step(4);
    in.recv();
    EXPECT_EQ(log, "sd50");
  });
}

// Section "Select statements": communication on nil channels never proceeds, so select blocks for ever with those
// only, and no default.
TEST_P(select_statements, with_nil_channels_only_block_for_ever) {
  run([] {
    EXPECT_TRUE(blocks_for_ever([] { select(recv(chan<int>()), send(chan<int>(), 1)); }));
    EXPECT_EQ(select(recv(chan<int>()), send(chan<int>(), 1), otherwise), 2U);
  });
}

// Section "Select statements": so a nil channel switches its case off.
TEST_P(select_statements, never_choose_a_nil_channel) {
  run([] {
    auto ch = make_chan<int>(1);
    chan<int> nil;
    for (int i = 0; i < 1000; ++i) {
      ASSERT_EQ(select(recv(nil), send(ch, 1), send(nil, 1)), 1U);
      ASSERT_EQ(select(send(nil, 1), recv(recv_chan<int>()), recv(ch)), 2U);
    }
  });
}

// Section "Select statements": without any case it blocks for ever.
TEST_P(select_statements, without_cases_block_for_ever) {
  run([] { EXPECT_TRUE(blocks_for_ever([] { select(); })); });
}

// Sections "Send statements" and "Select statements": sending on a closed channel can proceed, by a panic.
TEST_P(select_statements, panic_when_they_choose_to_send_on_a_closed_channel) {
  run([] {
    auto closed = make_chan<int>(1);
    closed.close();
    EXPECT_EQ(panic_of([&] { select(send(closed, 1)); }), "send on closed channel");
    EXPECT_EQ(panic_of([&] { select(send(closed, 1), otherwise); }), "send on closed channel");
    EXPECT_EQ(panic_of([&] { select(send(closed, 1), recv(make_chan<int>())); }),
              "send on closed channel");
  });
}

// The same of a select that is blocked when the channel is closed.
TEST_P(select_statements, that_are_blocked_panic_when_a_channel_they_send_on_is_closed) {
  run([] {
    auto ch = make_chan<int>(), other = make_chan<int>();
    std::string text;
    background selecting([&] { text = panic_of([&] { select(recv(other), send(ch, 1)); }); });
    EXPECT_TRUE(selecting.stays_blocked());
    ch.close();
    EXPECT_TRUE(selecting.ends());
    EXPECT_EQ(text, "send on closed channel");
  });
}

// Section "Channel types": unbuffered communication needs two who are ready: a select is not its own partner.
TEST_P(select_statements, do_not_communicate_with_themselves) {
  run([] {
    auto ch = make_chan<int>();
    EXPECT_EQ(select(send(ch, 1), recv(ch), otherwise), 2U);
    background selecting([&] { EXPECT_EQ(select(send(ch, 1), recv(ch)), 1U); });
    EXPECT_TRUE(selecting.stays_blocked());
    ch.send(2);
    EXPECT_TRUE(selecting.ends());
  });
}

// Section "Select statements": the two sides of a communication may both be selects; each meets exactly one partner.
TEST_P(select_statements, communicate_with_each_other) {
  run([] {
    const int n = times(5000);
    auto a = make_chan<int>(), b = make_chan<int>();
    counts left(2, 0), right(2, 0);
    background other([&] {
      for (int i = 0; i < n; ++i) ++right[select(recv(a), send(b, i))];
    });
    for (int i = 0; i < n; ++i) ++left[select(send(a, i), recv(b))];
    EXPECT_TRUE(other.ends());
    EXPECT_EQ(left, right);
  });
}

// Section "Channel types": any number of goroutines may do so: nothing is lost and nothing arrives twice.
TEST_P(select_statements, of_many_goroutines_lose_and_double_nothing) {
  run([] {
    const int n = times(3000);
    std::vector<chan<int>> ch{make_chan<int>(), make_chan<int>(1), make_chan<int>(3)};
    std::vector<std::atomic<int>> arrived(static_cast<std::size_t>(4 * n));
    auto quit = make_chan<int>();
    runnel::wait_group senders, receivers;
    auto note = [&](std::optional<int> v) { ++arrived[static_cast<std::size_t>(*v)]; };
    for (int g = 0; g < 4; ++g) {
      senders.go([&, g] {
        for (int i = 0; i < n; ++i) {
          int value = g * n + i;
          select(send(ch[0], value), send(ch[1], value), send(ch[2], value));
        }
      });
      receivers.go([&] {
        while (select(recv(ch[0], note), recv(ch[1], note), recv(ch[2], note), recv(quit)) != 3) {
        }
      });
    }
    senders.wait();
    quit.close();
    receivers.wait();
    for (auto& c : ch) {  // a receiver may have chosen to quit before the buffers were empty
      while (auto v = c.try_recv()) note(*v);
    }
    int wrong = 0;
    for (auto& times_arrived : arrived) wrong += times_arrived != 1;
    EXPECT_EQ(wrong, 0);
  });
}

CONFORMANCE(reflect_select);

// Package reflect, Select: over a list of cases made at run time it chooses uniformly among those that can proceed.
TEST_P(reflect_select, makes_a_uniform_choice) {
  run([] {
    runnel::selector s;
    std::vector<chan<int>> ch;
    for (int i = 0; i < 10; ++i) {
      ch.push_back(make_chan<int>());
      if (i % 2 == 0) ch.back().close();
      s.recv(ch.back());
    }
    counts taken(5, 0);
    for (int i = 0; i < picks; ++i) {
      std::size_t index = s.wait();
      ASSERT_EQ(index % 2, 0U);
      ++taken[index / 2];
    }
    EXPECT_TRUE(uniform(taken));
  });
}

// Package reflect, Select: it blocks until a case can proceed, executes it, and returns its index and what it received.
TEST_P(reflect_select, blocks_until_a_case_can_proceed_and_executes_that_one) {
  run([] {
    std::vector<chan<int>> ch{make_chan<int>(), make_chan<int>(), chan<int>()};
    std::optional<int> got;
    background selecting([&] {
      runnel::selector s;
      s.send(ch[0], 1);
      s.recv(ch[2]);
      s.recv(ch[1], got);
      EXPECT_EQ(s.wait(), 2U);
    });
    EXPECT_TRUE(selecting.stays_blocked());
    ch[1].send(4);
    EXPECT_TRUE(selecting.ends());
    EXPECT_EQ(got, 4);
  });
}

// Package reflect, Select: with a default it does not block; with no case at all it blocks for ever.
TEST_P(reflect_select, with_a_default_does_not_block_and_with_no_case_does_for_ever) {
  run([] {
    auto ch = make_chan<int>();
    runnel::selector s;
    s.recv(ch);
    s.otherwise();
    EXPECT_EQ(s.wait(), 1U);
    EXPECT_TRUE(blocks_for_ever([] { runnel::selector().wait(); }));
  });
}

}  // namespace
