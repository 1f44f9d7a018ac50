// Elements of every kind, along every path through a channel: into the ring and out of it, straight from stack to
// stack, from a waiting sender into the ring, and destroyed with the channel. Each is constructed and destroyed once.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "runnel/chan.h"
#include "runnel/runnel.h"
#include "runnel/select.h"
#include "support/counted.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace std::chrono_literals;
using runnel::make_chan;
using runnel::run;
using test::counted;

// Sends make(0), make(1), … along every path, and checks what arrives with same(value, i).
template <class T, class Make, class Same>
void pass_along_every_path(Make make, Same same) {
  run({.max_procs = 2}, [&] {
    for (std::size_t capacity : {0, 1, 3}) {
      auto ch = runnel::make_chan<T>(capacity);
      int buffered = static_cast<int>(capacity);
      // Through the ring, twice around.
      for (int i = 0; i < 2 * buffered; ++i) {
        ch.send(make(i));
        EXPECT_TRUE(same(*ch.recv(), i));
      }
      // A full ring, and senders that wait and are taken into it.
      for (int i = 0; i < buffered; ++i) ch.send(make(i));
      test::waiting_goroutines waiting;
      for (int i = buffered; i < buffered + 4; ++i) waiting.go([&, i] { ch.send(make(i)); });
      for (int i = 0; i < buffered + 4; ++i) EXPECT_TRUE(same(*ch.recv(), i));
      waiting.wait();
      // Receivers that wait.
      for (int i = 0; i < 3; ++i) waiting.go([&, i] { EXPECT_TRUE(same(*ch.recv(), i)); });
      waiting.go([&] { EXPECT_TRUE(same(*ch.recv_for(1h), 3)); });
      waiting.go([&] {
        for (T v : ch) {
          EXPECT_TRUE(same(v, 4));
          break;
        }
      });
      for (int i = 0; i < 5; ++i) ch.send(make(i));
      waiting.wait();
      // A select that waits, for a value and for a receiver.
      waiting.go([&] {
        std::optional<T> got;
        runnel::select(runnel::recv(ch, got), runnel::timeout(1h));
        EXPECT_TRUE(same(*got, 7));
      });
      ch.send(make(7));
      waiting.wait();
      for (int i = 0; i < buffered; ++i) ch.send(make(i));
      waiting.go([&] { runnel::select(runnel::send(ch, make(8)), runnel::timeout(1h)); });
      for (int i = 0; i < buffered; ++i) EXPECT_TRUE(same(*ch.recv(), i));
      EXPECT_TRUE(same(*ch.recv(), 8));
      waiting.wait();
      // Left in the ring.
      for (int i = 0; i < buffered - 1; ++i) ch.send(make(i));
    }
  });
}

TEST(elements, may_be_movable_only) {
  pass_along_every_path<std::unique_ptr<int>>([](int i) { return std::make_unique<int>(i); },
                                              [](const auto& v, int i) { return v && *v == i; });
}

TEST(elements, may_own_memory) {
  pass_along_every_path<std::string>(
      [](int i) { return std::string(100 + i, 'x'); },
      [](const auto& v, int i) { return v == std::string(100 + i, 'x'); });
}

TEST(elements, may_be_bytes_of_any_number) {
  pass_along_every_path<char>([](int i) { return static_cast<char>(i); },
                              [](char v, int i) { return v == i; });
  using three = std::array<char, 3>;
  pass_along_every_path<three>(
      [](int i) { return three{1, static_cast<char>(i), 3}; },
      [](three v, int i) { return v == three{1, static_cast<char>(i), 3}; });
  pass_along_every_path<double>([](int i) { return i + 0.5; },
                                [](double v, int i) { return v == i + 0.5; });
}

TEST(elements, may_be_empty) {
  pass_along_every_path<runnel::unit>([](int) { return runnel::unit(); },
                                      [](runnel::unit, int) { return true; });
}

TEST(elements, may_be_large) {
  using kilobyte = std::array<std::uint64_t, 128>;
  auto make = [](int i) {
    kilobyte v;
    std::iota(v.begin(), v.end(), i);
    return v;
  };
  pass_along_every_path<kilobyte>(make, [&](const kilobyte& v, int i) { return v == make(i); });
}

// Knows whether it lies where its alignment wants it.
template <std::size_t Alignment>
struct alignas(Alignment) aligned {
  int value;
  explicit aligned(int v) : value(v) { check(); }
  aligned(aligned&& from) : value(from.value) { check(); }
  aligned& operator=(aligned&& from) {
    value = from.value;
    return *this;
  }
  ~aligned() { check(); }
  void check() const {
    if (reinterpret_cast<std::uintptr_t>(this) % Alignment != 0) ++misplaced;
  }
  static inline std::atomic<int> misplaced{0};
};

template <std::size_t Alignment>
void pass_aligned() {
  pass_along_every_path<aligned<Alignment>>([](int i) { return aligned<Alignment>(i); },
                                            [](const auto& v, int i) { return v.value == i; });
  EXPECT_EQ(aligned<Alignment>::misplaced, 0);
}

TEST(elements, lie_where_their_alignment_wants_them) {
  pass_aligned<32>();
  pass_aligned<64>();
  pass_aligned<128>();
  pass_aligned<4096>();
}

TEST(elements, need_not_be_assignable) {
  struct constant {
    const int value;
    std::unique_ptr<int> movable_only;
  };
  run([] {
    auto ch = make_chan<constant>(1);
    ch.send({1, nullptr});
    EXPECT_EQ(ch.recv()->value, 1);
    ch.send({2, nullptr});
    EXPECT_EQ(ch.try_recv()->value, 2);
    ch.send({3, nullptr});
    ch.close();
    for (constant v : ch) EXPECT_EQ(v.value, 3);
    EXPECT_EQ(runnel::select(runnel::recv(ch, [](std::optional<constant> v) { EXPECT_FALSE(v); })),
              0U);
  });
}

// --- counted ---

TEST(elements, are_constructed_and_destroyed_once_along_every_path) {
  test::no_counted_left watch;
  pass_along_every_path<counted>([](int i) { return counted(i); },
                                 [](const counted& v, int i) { return v.value() == i; });
}

TEST(elements, left_in_a_channel_go_with_its_last_handle) {
  test::no_counted_left watch;
  for (int used = 0; used < 5; ++used) {
    long before = counted::alive();
    auto ch = make_chan<counted>(5);
    for (int i = 0; i < used; ++i) {
      ch.send(counted(-1));
      ch.recv();
    }
    for (int i = 0; i < 5; ++i) ch.send(counted(i));  // around the ring's end
    auto other = ch;
    if (used % 2 == 0) ch.close();
    ch = {};
    EXPECT_EQ(counted::alive(), before + 5);
    other = {};
    EXPECT_EQ(counted::alive(), before);
  }
}

TEST(elements, stay_with_a_sender_that_could_not_send) {
  test::no_counted_left watch;
  run([] {
    auto ch = make_chan<counted>();
    counted v(3);
    EXPECT_FALSE(ch.try_send(v));
    EXPECT_FALSE(ch.send_for(v, 1ms));
    EXPECT_FALSE(ch.send_for(v, -1h));
    EXPECT_EQ(v.value(), 3);
    EXPECT_FALSE(ch.try_send(counted(4)));
    EXPECT_FALSE(ch.send_for(counted(5), 1us));
    ch.close();
    EXPECT_THROW(ch.try_send(v), runnel::runtime_error);
    EXPECT_THROW(ch.send_for(v, 1h), runnel::runtime_error);
    EXPECT_EQ(v.value(), 3);
    EXPECT_THROW(ch.send(counted(6)), runnel::runtime_error);
  });
}

TEST(elements, of_senders_that_wait_at_a_close_are_destroyed_by_them) {
  test::no_counted_left watch;
  run({.max_procs = 2}, [] {
    auto ch = make_chan<counted>(2);
    ch.send(counted(0));
    ch.send(counted(1));
    test::waiting_goroutines waiting;
    for (int i = 0; i < 3; ++i) {
      waiting.go([&] { EXPECT_THROW(ch.send(counted(9)), runnel::runtime_error); });
    }
    waiting.go([&] {
      counted v(8);
      EXPECT_THROW(ch.send_for(v, 1h), runnel::runtime_error);
      EXPECT_EQ(v.value(), 8);
    });
    ch.close();
    waiting.wait();
    EXPECT_EQ(ch.recv()->value(), 0);
  });
}

TEST(elements, are_not_constructed_by_a_receive_that_gets_none) {
  test::no_counted_left watch;
  run([] {
    auto ch = make_chan<counted>(1);
    EXPECT_FALSE(ch.try_recv());
    EXPECT_FALSE(ch.recv_for(1ms));
    std::optional<counted> out;
    EXPECT_EQ(runnel::select(runnel::recv(ch, out), runnel::otherwise), 1U);
    EXPECT_EQ(runnel::select(runnel::recv(ch, out), runnel::timeout(1us)), 1U);
    ch.close();
    EXPECT_FALSE(ch.recv());
    EXPECT_FALSE(ch.try_recv());
    EXPECT_EQ(runnel::select(runnel::recv(ch, out)), 0U);
    EXPECT_EQ(runnel::select(runnel::recv(ch)), 0U);
    for (counted v : ch) ADD_FAILURE() << v.value();
  });
}

TEST(elements, received_by_a_case_without_a_place_for_them_are_destroyed) {
  test::no_counted_left watch;
  run({.max_procs = 2}, [] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(1));
    EXPECT_EQ(runnel::select(runnel::recv(ch)), 0U);
    test::waiting_goroutines waiting;
    waiting.go([&] { EXPECT_EQ(runnel::select(runnel::recv(ch), runnel::timeout(1h)), 0U); });
    ch.send(counted(2));
    waiting.wait();
  });
}

TEST(elements, given_to_a_handler_that_throws_are_destroyed) {
  test::no_counted_left watch;
  run([] {
    auto ch = make_chan<counted>(1);
    ch.send(counted(1));
    EXPECT_THROW(runnel::select(runnel::recv(ch, [](std::optional<counted>) { throw 1; })), int);
    counted v(2);
    EXPECT_THROW(runnel::select(runnel::send(ch, std::move(v), [] { throw 2; })), int);
    EXPECT_EQ(v.value(), counted::gone);
    EXPECT_EQ(ch.recv()->value(), 2);
  });
}

TEST(elements, of_cases_that_are_not_taken_stay_untouched) {
  test::no_counted_left watch;
  run({.max_procs = 2}, [] {
    auto never = make_chan<counted>(), ready = make_chan<counted>(1);
    counted a(1), b(2);
    EXPECT_EQ(runnel::select(runnel::send(never, std::move(a)), runnel::send(ready, std::move(b))),
              1U);
    EXPECT_EQ(a.value(), 1);
    EXPECT_EQ(b.value(), counted::gone);
    std::optional<counted> out(std::in_place, 5);
    EXPECT_EQ(runnel::select(runnel::recv(never, out), runnel::recv(ready)), 1U);
    EXPECT_EQ(out->value(), 5);
    // The same after it has waited.
    test::waiting_goroutines waiting;
    waiting.go([&] {
      EXPECT_EQ(runnel::select(runnel::send(never, std::move(a)), runnel::recv(never, out),
                               runnel::send(never, counted(7)), runnel::recv(ready)),
                3U);
    });
    ready.send(counted(6));
    waiting.wait();
    EXPECT_EQ(a.value(), 1);
    EXPECT_EQ(out->value(), 5);
    EXPECT_EQ(runnel::select(runnel::send(never, std::move(a)), runnel::timeout(1us)), 1U);
    EXPECT_EQ(a.value(), 1);
  });
}

// A type without a move constructor is copied, and what is left behind has a life of its own: its destructor may
// call the runtime, on which the channel must not rely meanwhile.
TEST(elements, may_call_the_runtime_when_they_are_destroyed) {
  struct caller {
    explicit caller(int v) : value(v) {}
    caller(const caller& from) : value(from.value) {}
    ~caller() { runnel::yield(); }
    int value;
  };
  for (int procs : {1, 4}) {
    run({.max_procs = procs}, [] {
      auto ch = make_chan<caller>(4);
      runnel::go([ch] {
        for (int i = 0; i < 200; ++i) ch.send(caller(i));
        ch.close();
      });
      for (int i = 0; i < 200; ++i) EXPECT_EQ(ch.recv()->value, i);
    });
  }
}

}  // namespace
