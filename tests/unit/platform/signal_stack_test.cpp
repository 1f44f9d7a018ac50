// The stack on which a thread's signal handlers run.

#include "platform/signal_stack.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "platform/address_space.h"
#include "platform/sanitizer.h"

namespace runnel::platform {
namespace {

stack_t current() {
  stack_t now{};
  sigaltstack(nullptr, &now);
  return now;
}

std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

bool is_mapped(std::uintptr_t at) {
  std::ifstream maps("/proc/self/maps");
  std::uintptr_t begin, end;
  char dash;
  for (std::string rest; maps >> std::hex >> begin >> dash >> end; std::getline(maps, rest)) {
    if (at >= begin && at < end) return true;
  }
  return false;
}

// On a thread of its own, which has none: the sanitizers', if there is one, is taken away meanwhile.
template <class F>
void on_a_bare_thread(F body) {
  std::thread([&] {
    stack_t before = current();
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ASSERT_EQ(sigaltstack(&none, nullptr), 0);
    body();
    sigaltstack(&before, nullptr);
  }).join();
}

TEST(signal_stack_test, belongs_to_the_thread_while_it_lives) {
  on_a_bare_thread([] {
    {
      signal_stack mine;
      EXPECT_EQ(current().ss_flags & SS_DISABLE, 0);
      EXPECT_GE(current().ss_size, signal_stack::size_min);
    }
    EXPECT_NE(current().ss_flags & SS_DISABLE, 0);
  });
}

TEST(signal_stack_test, gives_its_memory_back) {
  on_a_bare_thread([] {
    std::uintptr_t begin;
    {
      signal_stack mine;
      begin = address(current().ss_sp);
      EXPECT_TRUE(readable(begin));
    }
    EXPECT_FALSE(readable(begin));
  });
}

TEST(signal_stack_test, has_a_guard_below_where_guards_are_cheap) {
  if (!has_light_guards()) GTEST_SKIP() << "guards are mappings here";
  on_a_bare_thread([] {
    signal_stack mine;
    auto begin = address(current().ss_sp);
    EXPECT_TRUE(readable(begin));
    EXPECT_TRUE(is_mapped(begin - 8)) << "what lies below is not ours";
    EXPECT_FALSE(readable(begin - 8));
  });
}

TEST(signal_stack_test, leaves_a_thread_the_one_it_has) {
  alignas(16) static std::array<char, 64 << 10> programs_own;
  on_a_bare_thread([] {
    stack_t wish{};
    wish.ss_sp = programs_own.data();
    wish.ss_size = programs_own.size();
    ASSERT_EQ(sigaltstack(&wish, nullptr), 0);
    {
      signal_stack mine;
      EXPECT_EQ(current().ss_sp, programs_own.data());
    }
    EXPECT_EQ(current().ss_sp, programs_own.data());
  });
}

TEST(signal_stack_test, stays_out_of_the_way_of_one_that_took_its_place) {
  alignas(16) static std::array<char, 64 << 10> programs_own;
  on_a_bare_thread([] {
    {
      signal_stack mine;
      stack_t wish{};
      wish.ss_sp = programs_own.data();
      wish.ss_size = programs_own.size();
      ASSERT_EQ(sigaltstack(&wish, nullptr), 0);
    }
    EXPECT_EQ(current().ss_sp, programs_own.data());
  });
}

std::uintptr_t handler_frame;

TEST(signal_stack_test, is_what_handlers_run_on) {
  struct sigaction wish{};
  wish.sa_handler = +[](int) { handler_frame = address(__builtin_frame_address(0)); };
  wish.sa_flags = SA_ONSTACK;
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGUSR1, &wish, &before), 0);
  on_a_bare_thread([] {
    signal_stack mine;
    pthread_kill(pthread_self(), SIGUSR1);
    auto begin = address(current().ss_sp);
    EXPECT_GE(handler_frame, begin);
    EXPECT_LT(handler_frame, begin + current().ss_size);
  });
  sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace runnel::platform
