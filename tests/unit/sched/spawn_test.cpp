// go: what becomes of the function and its arguments.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

TEST(spawn, copies_arguments_at_the_call) {
  run({.max_procs = 1}, [] {
    int value = 1;
    std::string text = "before";
    int seen = 0;
    std::string seen_text;
    runnel::wait_group wg;
    wg.add(1);
    runnel::go(
        [&](int v, const std::string& t) {
          seen = v;
          seen_text = t;
          wg.done();
        },
        value, text);
    value = 2;
    text = "after";
    wg.wait();
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(seen_text, "before");
  });
}

TEST(spawn, decays_arrays_and_functions) {
  run([] {
    char text[] = "array";
    std::atomic<bool> right{false};
    runnel::wait_group wg;
    wg.add(1);
    runnel::go(
        [&](auto argument) {
          right = std::is_same_v<decltype(argument), char*>;
          wg.done();
        },
        text);
    wg.wait();
    EXPECT_TRUE(right);
  });
}

TEST(spawn, moves_what_can_only_be_moved) {
  run([] {
    runnel::wait_group wg;
    int seen = 0;
    wg.add(1);
    runnel::go(
        [&wg, &seen, a = std::make_unique<int>(40)](std::unique_ptr<int> b) {
          seen = *a + *b;
          wg.done();
        },
        std::make_unique<int>(2));
    wg.wait();
    EXPECT_EQ(seen, 42);
  });
}

TEST(spawn, calls_member_functions) {
  struct object {
    std::atomic<int> sum{0};
    void add(int n) { sum += n; }
  };
  run([] {
    object o;
    runnel::go(&object::add, &o, 5);
    EXPECT_TRUE(test::eventually([&] { return o.sum == 5; }));
  });
}

template <std::size_t Alignment>
void expect_aligned() {
  struct alignas(Alignment) payload {
    std::array<char, Alignment> bytes;
  };
  runnel::wait_group wg;
  std::atomic<int> misaligned{0};
  payload p{};
  for (int i = 0; i < 20; ++i) {
    wg.go([&, p] {
      // Through an integer: the compiler believes in the alignment.
      auto address = reinterpret_cast<std::uintptr_t>(&p);
      asm volatile("" : "+r"(address));
      misaligned += address % Alignment != 0;
    });
  }
  wg.wait();
  EXPECT_EQ(misaligned, 0) << Alignment;
}

TEST(spawn, aligns_closures_as_they_ask) {
  run([] {
    expect_aligned<16>();
    expect_aligned<64>();
    expect_aligned<128>();
    expect_aligned<4096>();
  });
}

template <std::size_t Size>
void expect_intact() {
  std::array<unsigned char, Size> data;
  for (std::size_t i = 0; i < Size; ++i) data[i] = static_cast<unsigned char>(i * 31);
  runnel::wait_group wg;
  std::atomic<int> damaged{0};
  for (int k = 0; k < 20; ++k) {
    wg.go([&, data] {
      for (std::size_t i = 0; i < Size; ++i)
        damaged += data[i] != static_cast<unsigned char>(i * 31);
    });
  }
  wg.wait();
  EXPECT_EQ(damaged, 0) << Size;
}

TEST(spawn, keeps_closures_of_every_size_intact) {
  run({.max_procs = 4}, [] {
    expect_intact<1>();
    expect_intact<40>();
    expect_intact<64>();
    expect_intact<200>();
    expect_intact<1000>();
    expect_intact<5000>();
    expect_intact<70'000>();
  });
}

struct throws_when_copied {
  throws_when_copied() = default;
  throws_when_copied(const throws_when_copied&) { throw std::runtime_error("copy"); }
};

TEST(spawn, starts_nothing_when_an_argument_cannot_be_copied) {
  run({.max_procs = 1}, [] {
    throws_when_copied bad;
    bool ran = false;
    for (int i = 0; i < 100; ++i) {
      EXPECT_THROW(runnel::go([&](const throws_when_copied&) { ran = true; }, bad),
                   std::runtime_error);
    }
    EXPECT_EQ(runnel::num_goroutine(), 1U);
    for (int i = 0; i < 10; ++i) runnel::yield();
    EXPECT_FALSE(ran);
  });
}

// Counts objects that are alive.
struct counted {
  static inline std::atomic<int> alive{0};
  counted() { ++alive; }
  counted(const counted&) { ++alive; }
  counted(counted&&) noexcept { ++alive; }
  ~counted() { --alive; }
};

TEST(spawn, destroys_function_and_arguments_once_when_the_goroutine_has_ended) {
  run({.max_procs = 4}, [] {
    counted::alive = 0;
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      wg.add(1);
      runnel::go([&wg, c = counted()](const counted&, counted) { wg.done(); }, counted(),
                 counted());
    }
    wg.wait();
    EXPECT_TRUE(test::eventually([] { return counted::alive == 0; }));
    for (int i = 0; i < 10; ++i) runnel::yield();
    EXPECT_EQ(counted::alive, 0);
  });
}

TEST(spawn, destroys_function_and_arguments_when_the_goroutine_ends_by_goexit) {
  run([] {
    counted::alive = 0;
    for (int i = 0; i < 20; ++i) {
      runnel::go([c = counted()](const counted&) { runnel::goexit(); }, counted());
    }
    EXPECT_TRUE(
        test::eventually([] { return counted::alive == 0 && runnel::num_goroutine() == 1; }));
  });
}

TEST(spawn, copies_the_name) {
  run([] {
    runnel::wait_group wg;
    for (int i = 0; i < 100; ++i) {
      std::string name = "goroutine number " + std::to_string(i);
      wg.add(1);
      runnel::go({.name = name}, [&] { wg.done(); });
      name.assign(name.size(), 'x');
    }
    wg.wait();
  });
}

// Uses that much of the stack, frame by frame.
[[gnu::noinline]] std::size_t descend(std::size_t bytes) {
  volatile char frame[1024];
  frame[0] = 1;
  if (bytes <= sizeof frame + 256) return static_cast<std::size_t>(frame[0]);
  return descend(bytes - sizeof frame - 256) + static_cast<std::size_t>(frame[0]);
}

TEST(spawn, a_large_stack_can_be_used) {
  run([] {
    for (int i = 0; i < 3; ++i) {
      std::atomic<std::size_t> depth{0};
      runnel::wait_group wg;
      wg.add(1);
      runnel::go({.stack_size = 8 << 20}, [&] {
        // Sanitizers make frames larger.
        depth = descend(test::sanitized ? 2 << 20 : 7 << 20);
        runnel::yield();
        wg.done();
      });
      wg.wait();
      EXPECT_GT(depth, 1000U);
    }
  });
}

TEST(spawn, a_small_stack_is_enough_for_a_small_goroutine) {
  run({.max_procs = 2}, [] {
    runnel::wait_group wg;
    for (int i = 0; i < 200; ++i) {
      wg.add(1);
      runnel::go({.stack_size = 1}, [&] {
        runnel::sleep(100us);
        wg.done();
      });
    }
    wg.wait();
  });
}

TEST(spawn, goroutines_with_stacks_of_different_sizes_mix) {
  run({.max_procs = 4}, [] {
    runnel::wait_group wg;
    std::atomic<int> done{0};
    const std::size_t sizes[] = {0, 32 << 10, 64 << 10, 1 << 20, 8 << 20};
    for (int i = 0; i < 500; ++i) {
      wg.add(1);
      runnel::go({.stack_size = sizes[i % 5]}, [&, i] {
        if (i % 3 == 0) runnel::sleep(50us);
        if (i % 5 >= 3) descend(100 << 10);
        ++done;
        wg.done();
      });
    }
    wg.wait();
    EXPECT_EQ(done, 500);
  });
}

}  // namespace
