// The Go specification on what a channel is, on sending and on receiving.

#include <runnel/chan.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "programs/conformance.h"

namespace {

using conformance::background, conformance::blocks_for_ever, conformance::let_others_run;
using conformance::panic_of, conformance::times;
using runnel::chan, runnel::chan_errc, runnel::make_chan, runnel::recv_chan, runnel::send_chan;

// Channel types

CONFORMANCE(channel_types);

// Section "Channel types": functions that run concurrently communicate by sending and receiving values of the
// channel's element type.
TEST_P(channel_types, concurrent_functions_communicate_by_values_of_the_element_type) {
  run([] {
    auto question = make_chan<std::string>(), answer = make_chan<std::string>();
    background other([=] { answer.send(*question.recv() + "!"); });
    question.send("hello");
    EXPECT_EQ(answer.recv(), "hello!");
    EXPECT_TRUE(other.ends());
  });
}

// Section "Channel types": a channel variable that was not initialized holds nil.
TEST_P(channel_types, the_value_of_an_uninitialized_channel_is_nil) {
  run([] {
    chan<int> both;
    send_chan<int> in;
    recv_chan<int> out;
    EXPECT_TRUE(both.is_nil() && in.is_nil() && out.is_nil());
    EXPECT_FALSE(make_chan<int>().is_nil());
    EXPECT_FALSE(static_cast<bool>(both));
    EXPECT_TRUE(static_cast<bool>(make_chan<int>()));
  });
}

template <class C>
concept can_send = requires(C c) { c.send(1); };
template <class C>
concept can_receive = requires(C c) { c.recv(); };
template <class To, class From>
constexpr bool converts = std::is_convertible_v<From, To>;

// Section "Channel types": conversion or assignment constrains a channel to one direction; a program that uses
// the other, or converts back, does not compile.
TEST_P(channel_types, a_channel_may_be_constrained_to_one_direction) {
  static_assert(can_send<chan<int>> && can_receive<chan<int>>);
  static_assert(can_send<send_chan<int>> && !can_receive<send_chan<int>>);
  static_assert(can_receive<recv_chan<int>> && !can_send<recv_chan<int>>);
  static_assert(converts<send_chan<int>, chan<int>> && converts<recv_chan<int>, chan<int>>);
  static_assert(!converts<chan<int>, send_chan<int>> && !converts<chan<int>, recv_chan<int>>);
  static_assert(!converts<send_chan<int>, recv_chan<int>>);
  static_assert(!converts<recv_chan<int>, send_chan<int>>);
  run([] {
    auto ch = make_chan<int>(1);
    send_chan<int> in = ch;
    recv_chan<int> out = ch;
    in.send(5);
    EXPECT_EQ(out.recv(), 5);
  });
}

// Section "Conversions": between channel types there is none but that: not back to both directions, and not to
// another element type.
TEST_P(channel_types, a_channel_cannot_be_converted_to_another_direction_or_element_type) {
  EXPECT_FALSE((std::is_constructible_v<chan<int>, send_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<chan<int>, recv_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<recv_chan<int>, send_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<send_chan<int>, recv_chan<int>>));
  EXPECT_FALSE((std::is_constructible_v<chan<int>, chan<std::string>>));
  EXPECT_FALSE((std::is_constructible_v<send_chan<int>, chan<std::string>>));
  EXPECT_FALSE((std::is_constructible_v<recv_chan<int>, recv_chan<std::string>>));
}

// Section "Channel types": the element type may itself be a channel.
TEST_P(channel_types, channels_may_carry_channels) {
  run([] {
    auto requests = make_chan<send_chan<int>>();
    background server([=] { requests.recv()->send(42); });
    auto reply = make_chan<int>();
    requests.send(reply);
    EXPECT_EQ(reply.recv(), 42);
    EXPECT_TRUE(server.ends());
  });
}

// Section "Channel types": without a capacity, or with zero, it is unbuffered: communication succeeds only when
// both sides are ready. Here: no send without a receiver.
TEST_P(channel_types, an_unbuffered_send_does_not_succeed_before_a_receiver_is_ready) {
  run([] {
    for (auto ch : {make_chan<int>(), make_chan<int>(0)}) {
      int value = 1;
      EXPECT_FALSE(ch.try_send(value));
      background sender([=] { ch.send(2); });
      EXPECT_TRUE(sender.stays_blocked());
      EXPECT_EQ(ch.recv(), 2);
      EXPECT_TRUE(sender.ends());
    }
  });
}

// The same: no receive without a sender.
TEST_P(channel_types, an_unbuffered_receive_does_not_succeed_before_a_sender_is_ready) {
  run([] {
    auto ch = make_chan<int>();
    EXPECT_EQ(ch.try_recv(), std::unexpected(chan_errc::empty));
    background receiver([=] { EXPECT_EQ(ch.recv(), 3); });
    EXPECT_TRUE(receiver.stays_blocked());
    ch.send(3);
    EXPECT_TRUE(receiver.ends());
  });
}

// The same: with both ready it succeeds, for either who finds the other waiting.
TEST_P(channel_types, unbuffered_communication_succeeds_when_both_are_ready) {
  run([] {
    auto ch = make_chan<int>();
    background receiver([=] { EXPECT_EQ(ch.recv(), 1); });
    int value = 1;
    EXPECT_TRUE(test::eventually([&] { return ch.try_send(value); }));
    EXPECT_TRUE(receiver.ends());
    background sender([=] { ch.send(2); });
    std::expected<int, chan_errc> got;
    EXPECT_TRUE(test::eventually([&] { return (got = ch.try_recv()).has_value(); }));
    EXPECT_EQ(got, 2);
    EXPECT_TRUE(sender.ends());
  });
}

// Section "Channel types": otherwise it is buffered, and sending does not block while the buffer is not full.
TEST_P(channel_types, a_buffered_send_does_not_block_while_the_buffer_is_not_full) {
  run([] {
    for (std::size_t capacity : {1, 2, 7, 100}) {
      auto ch = make_chan<std::size_t>(capacity);
      for (std::size_t i = 0; i < capacity; ++i) ch.send(i);  // there is nobody to receive
      std::size_t more = capacity;
      EXPECT_FALSE(ch.try_send(more));
    }
  });
}

// Section "Channel types": and receiving does not block while it is not empty.
TEST_P(channel_types, a_buffered_receive_does_not_block_while_the_buffer_is_not_empty) {
  run([] {
    auto ch = make_chan<int>(10);
    for (int i = 0; i < 10; ++i) ch.send(i);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(ch.recv(), i);  // there is nobody to send
    EXPECT_EQ(ch.try_recv(), std::unexpected(chan_errc::empty));
  });
}

// Section "Channel types": a nil channel is never ready for communication.
TEST_P(channel_types, a_nil_channel_is_never_ready) {
  run([] {
    chan<int> nil;
    int value = 1;
    EXPECT_FALSE(nil.try_send(value));
    EXPECT_EQ(nil.try_recv(), std::unexpected(chan_errc::empty));
  });
}

// Section "Channel types": any number of goroutines may send, receive and call cap and len without further
// synchronization.
TEST_P(channel_types,
       any_number_of_goroutines_may_use_one_channel_without_further_synchronization) {
  run([] {
    for (std::size_t capacity : {0, 3}) {
      const int each = times(2000);
      auto ch = make_chan<int>(capacity);
      std::atomic<long> sum{0};
      runnel::wait_group senders, receivers;
      for (int g = 0; g < 5; ++g) {
        senders.go([=] {
          for (int i = 1; i <= each; ++i) ch.send(i);
        });
        receivers.go([=, &sum] {
          while (auto v = ch.recv()) {
            sum += *v;
            if (ch.len() > ch.cap()) sum += 1'000'000'000;
          }
        });
      }
      senders.wait();
      ch.close();
      receivers.wait();
      EXPECT_EQ(sum, 5L * each * (each + 1) / 2);
    }
  });
}

// Section "Channel types": channels are first-in-first-out queues: what one goroutine sends, another receives in
// the order sent.
TEST_P(channel_types, values_are_received_in_the_order_sent) {
  run([] {
    for (std::size_t capacity : {0, 1, 4, 64}) {
      const int n = times(10'000);
      auto ch = make_chan<int>(capacity);
      background sender([=] {
        for (int i = 0; i < n; ++i) ch.send(i);
      });
      int out_of_order = 0;
      for (int i = 0; i < n; ++i) out_of_order += ch.recv() != i;
      EXPECT_EQ(out_of_order, 0) << capacity;
      EXPECT_TRUE(sender.ends());
    }
  });
}

// The same with many senders: each one's values keep their order.
TEST_P(channel_types, each_of_many_senders_values_are_received_in_its_order) {
  run([] {
    const int n = times(3000);
    auto ch = make_chan<std::pair<int, int>>(3);
    runnel::wait_group senders;
    for (int g = 0; g < 4; ++g) {
      senders.go([=] {
        for (int i = 0; i < n; ++i) ch.send({g, i});
      });
    }
    std::vector<int> next(4, 0);
    int out_of_order = 0;
    for (int i = 0; i < 4 * n; ++i) {
      auto [from, place] = *ch.recv();
      out_of_order += place != next[from]++;
    }
    EXPECT_EQ(out_of_order, 0);
    senders.wait();
  });
}

// Send statements

CONFORMANCE(send_statements);

// Section "Send statements": the value is evaluated before the communication begins, so also when it blocks.
TEST_P(send_statements, evaluate_the_value_before_the_communication_begins) {
  run([] {
    auto ch = make_chan<int>();
    std::atomic<int> evaluated{0};
    background sender([&] { ch.send(++evaluated); });
    EXPECT_TRUE(sender.stays_blocked());
    EXPECT_TRUE(test::eventually([&] { return evaluated == 1; }));
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_TRUE(sender.ends());
    EXPECT_EQ(evaluated, 1);
  });
}

// Section "Send statements": on an unbuffered channel a send can proceed if a receiver is ready.
TEST_P(send_statements, proceed_on_an_unbuffered_channel_once_a_receiver_is_ready) {
  run([] {
    for (int i = 0; i < times(1000); ++i) {
      auto ch = make_chan<int>();
      background sender([=] { ch.send(i); });
      for (int k = 0; k < i % 3; ++k) runnel::yield();
      ASSERT_EQ(ch.recv(), i);
      ASSERT_TRUE(sender.ends());
    }
  });
}

// Section "Send statements": on a buffered channel it can proceed if there is room in the buffer: a full one blocks
// it, and one receive makes room for just one.
TEST_P(send_statements, proceed_on_a_buffered_channel_once_there_is_room) {
  run([] {
    auto ch = make_chan<int>(2);
    ch.send(0), ch.send(1);
    std::atomic<int> sent{0};
    background sender([&] {
      ch.send(2), ++sent;
      ch.send(3), ++sent;
    });
    EXPECT_TRUE(sender.stays_blocked());
    EXPECT_EQ(sent, 0);
    EXPECT_EQ(ch.recv(), 0);
    EXPECT_TRUE(test::eventually([&] { return sent == 1; }));
    EXPECT_TRUE(sender.stays_blocked());
    EXPECT_EQ(sent, 1);
    EXPECT_EQ(ch.recv(), 1);
    EXPECT_TRUE(sender.ends());
    EXPECT_EQ(ch.recv(), 2);
    EXPECT_EQ(ch.recv(), 3);
  });
}

// Section "Send statements": sending on a closed channel proceeds by a run-time panic.
TEST_P(send_statements, on_a_closed_channel_panic) {
  run([] {
    for (std::size_t capacity : {0, 1, 2}) {
      auto ch = make_chan<int>(capacity);
      if (capacity == 1) ch.send(0);  // full
      ch.close();
      EXPECT_EQ(panic_of([&] { ch.send(1); }), "send on closed channel");
      int value = 1;
      EXPECT_EQ(panic_of([&] { ch.try_send(value); }), "send on closed channel");
    }
  });
}

// The same of a send that was blocked when the channel was closed.
TEST_P(send_statements, that_are_blocked_when_the_channel_is_closed_panic) {
  run([] {
    for (std::size_t capacity : {0, 1}) {
      auto ch = make_chan<int>(capacity);
      if (capacity == 1) ch.send(0);
      std::string first, second;
      background a([&] { first = panic_of([&] { ch.send(1); }); });
      background b([&] { second = panic_of([&] { ch.send(1); }); });
      EXPECT_TRUE(a.stays_blocked() && b.stays_blocked());
      ch.close();
      EXPECT_TRUE(a.ends() && b.ends());
      EXPECT_EQ(first, "send on closed channel");
      EXPECT_EQ(second, "send on closed channel");
    }
  });
}

// Section "Send statements": sending on a nil channel blocks for ever.
TEST_P(send_statements, on_a_nil_channel_block_for_ever) {
  run([] { EXPECT_TRUE(blocks_for_ever([] { chan<int>().send(1); })); });
  run([] { EXPECT_TRUE(blocks_for_ever([] { send_chan<int>().send(1); })); });
}

// Receive operator

CONFORMANCE(receive_operator);

// Section "Receive operator": its value is the value received.
TEST_P(receive_operator, yields_the_value_received) {
  run([] {
    auto ch = make_chan<std::unique_ptr<std::string>>();
    background sender([=] { ch.send(std::make_unique<std::string>("moved")); });
    EXPECT_EQ(**ch.recv(), "moved");
    EXPECT_TRUE(sender.ends());
  });
}

// Section "Receive operator": it blocks until a value is available; each value goes to one receiver.
TEST_P(receive_operator, blocks_until_a_value_is_available) {
  run([] {
    for (std::size_t capacity : {0, 1, 10}) {
      auto ch = make_chan<int>(capacity);
      std::atomic<int> got{0};
      background a([&] { got += *ch.recv(); });
      background b([&] { got += *ch.recv(); });
      EXPECT_TRUE(a.stays_blocked() && b.stays_blocked());
      ch.send(10);
      EXPECT_TRUE(test::eventually([&] { return got == 10; }));
      let_others_run();
      EXPECT_EQ(got, 10);
      ch.send(1);
      EXPECT_TRUE(a.ends() && b.ends());
      EXPECT_EQ(got, 11);
    }
  });
}

// Section "Receive operator": receiving from a nil channel blocks for ever.
TEST_P(receive_operator, on_a_nil_channel_blocks_for_ever) {
  run([] { EXPECT_TRUE(blocks_for_ever([] { chan<int>().recv(); })); });
  run([] { EXPECT_TRUE(blocks_for_ever([] { recv_chan<int>().recv(); })); });
}

// Section "Receive operator": on a closed channel it always proceeds at once.
TEST_P(receive_operator, on_a_closed_channel_always_proceeds_at_once) {
  run([] {
    for (std::size_t capacity : {0, 5}) {
      auto ch = make_chan<int>(capacity);
      ch.close();
      for (int i = 0; i < 100; ++i) EXPECT_FALSE(ch.recv().has_value());
      EXPECT_EQ(ch.try_recv(), std::unexpected(chan_errc::closed));
    }
  });
}

// Section "Receive operator": and yields the end only after every value sent before has been received.
TEST_P(receive_operator, yields_the_end_after_all_values_sent_before_the_close) {
  run([] {
    auto ch = make_chan<int>(5);
    for (int i = 0; i < 5; ++i) ch.send(i);
    ch.close();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(ch.recv(), i);
    EXPECT_FALSE(ch.recv().has_value());
  });
}

// Section "Receive operator": its second result tells a value that was sent, even a zero, from the end.
TEST_P(receive_operator, tells_a_zero_that_was_sent_from_the_end) {
  run([] {
    auto ch = make_chan<int>(2);
    ch.send(0), ch.send(0);
    ch.close();
    EXPECT_TRUE(ch.recv().has_value());
    EXPECT_TRUE(ch.recv().has_value());
    EXPECT_FALSE(ch.recv().has_value());
  });
}

}  // namespace
