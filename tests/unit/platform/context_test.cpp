// Contexts by hand: values both ways, registers that the ABI promises to keep, alignment, threads.

#include "platform/context.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "platform/tls.h"
#include "unit/platform/strand.h"

// void* switch_with_registers(void** save, void* load, void* value, uint64_t* registers):
// loads every register that a call must keep from `registers`, switches, and stores them there again.
extern "C" void* switch_with_registers(void** save, void* load, void* value,
                                       std::uint64_t* registers);

#if defined(__x86_64__)
constexpr std::size_t kept_registers = 6;
asm(R"(
    .text
    .globl switch_with_registers
    .type switch_with_registers, @function
switch_with_registers:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rcx
    movq 0(%rcx), %rbp
    movq 8(%rcx), %rbx
    movq 16(%rcx), %r12
    movq 24(%rcx), %r13
    movq 32(%rcx), %r14
    movq 40(%rcx), %r15
    call runnel_context_switch
    popq %rcx
    movq %rbp, 0(%rcx)
    movq %rbx, 8(%rcx)
    movq %r12, 16(%rcx)
    movq %r13, 24(%rcx)
    movq %r14, 32(%rcx)
    movq %r15, 40(%rcx)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size switch_with_registers, .-switch_with_registers
)");
#elif defined(__aarch64__)
constexpr std::size_t kept_registers = 19;  // x19 to x29, d8 to d15
asm(R"(
    .text
    .globl switch_with_registers
    .type switch_with_registers, %function
switch_with_registers:
    stp x29, x30, [sp, #-176]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    str x3, [sp, #160]
    ldp x19, x20, [x3, #0]
    ldp x21, x22, [x3, #16]
    ldp x23, x24, [x3, #32]
    ldp x25, x26, [x3, #48]
    ldp x27, x28, [x3, #64]
    ldr x29, [x3, #80]
    ldp d8, d9, [x3, #88]
    ldp d10, d11, [x3, #104]
    ldp d12, d13, [x3, #120]
    ldp d14, d15, [x3, #136]
    bl runnel_context_switch
    ldr x3, [sp, #160]
    stp x19, x20, [x3, #0]
    stp x21, x22, [x3, #16]
    stp x23, x24, [x3, #32]
    stp x25, x26, [x3, #48]
    stp x27, x28, [x3, #64]
    str x29, [x3, #80]
    stp d8, d9, [x3, #88]
    stp d10, d11, [x3, #104]
    stp d12, d13, [x3, #120]
    stp d14, d15, [x3, #136]
    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #176
    ret
    .size switch_with_registers, .-switch_with_registers
)");
#endif

namespace runnel::platform {
namespace {

using test::strand;
using test::strands;

void* word(std::uintptr_t n) { return reinterpret_cast<void*>(n); }

TEST(context_test, the_first_resume_calls_the_entry_with_its_argument_and_the_value) {
  strands both([](strands&) {});  // its entry gets the pair itself as the argument
  both.resume(word(17));
  EXPECT_EQ(both.first_value, word(17));
  EXPECT_TRUE(both.ended);
}

TEST(context_test, values_pass_both_ways) {
  strands both([](strands& b) {
    auto n = reinterpret_cast<std::uintptr_t>(b.first_value);
    for (int i = 0; i < 1000; ++i) n = reinterpret_cast<std::uintptr_t>(b.yield(word(n + 1)));
  });
  std::uintptr_t n = 0;
  for (int i = 0; i < 1000; ++i) {
    auto answer = reinterpret_cast<std::uintptr_t>(both.resume(word(n)));
    ASSERT_EQ(answer, n + 1);
    n = answer + 1;
  }
  EXPECT_FALSE(both.ended);
  both.resume();
  EXPECT_TRUE(both.ended);
}

TEST(context_test, locals_survive_on_each_stack) {
  strands both([](strands& b) {
    volatile char mine[1000];
    for (std::size_t i = 0; i < sizeof mine; ++i) mine[i] = static_cast<char>(i);
    b.yield();
    bool whole = true;
    for (std::size_t i = 0; i < sizeof mine; ++i) whole &= mine[i] == static_cast<char>(i);
    b.yield(word(whole));
  });
  volatile char mine[1000];
  for (std::size_t i = 0; i < sizeof mine; ++i) mine[i] = static_cast<char>(~i);
  both.resume();
  EXPECT_EQ(both.resume(), word(1));
  for (std::size_t i = 0; i < sizeof mine; ++i) ASSERT_EQ(mine[i], static_cast<char>(~i));
}

using registers = std::array<std::uint64_t, kept_registers>;

registers marked(std::uint64_t mark) {
  registers marks;
  for (std::size_t i = 0; i < marks.size(); ++i) marks[i] = mark << 32 | (i + 1) * 0x01010101u;
  return marks;
}

void switch_marked(strand& from, strand& to, std::uint64_t mark) {
  registers r = marked(mark);
  from.sanitizer.before_switch(to.sanitizer);
  switch_with_registers(&from.sp, to.sp, nullptr, r.data());
  from.sanitizer.after_switch();
  EXPECT_EQ(r, marked(mark));
}

TEST(context_test, every_register_that_a_call_must_keep_is_kept) {
  strands both([](strands& b) {
    for (std::uint64_t i = 0;; ++i) switch_marked(b.other, b.self, 0x20000 + i);
  });
  for (std::uint64_t i = 0; i < 100; ++i) switch_marked(both.self, both.other, 0x10000 + i);
}

// Compilers align the frames of over-aligned locals themselves and trust the ABI for the rest: 16 bytes.
TEST(context_test, the_entry_finds_its_stack_aligned) {
  strands both([](strands& b) {
    alignas(16) char local[16];
#if defined(__x86_64__)
    asm volatile("movaps %%xmm0, %0" : "=m"(local));  // faults where it is not aligned
#else
    asm volatile("str q0, %0" : "=Q"(local));
#endif
    void* at = local;
    asm volatile("" : "+r"(at));  // the compiler knows what it would be
    b.yield(at);
  });
  auto local = reinterpret_cast<std::uintptr_t>(both.resume());
  EXPECT_EQ(local % 16, 0u);
}

TEST(context_test, the_entry_finds_its_frame_where_the_abi_puts_it) {
  strands both([](strands& b) { b.yield(__builtin_frame_address(0)); });
  // The saved frame pointer and the return address lie there.
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(both.resume()) % 16, 0u);
}

TEST(context_test, a_new_context_takes_no_more_than_a_few_words_of_its_stack) {
  alignas(16) std::uintptr_t stack[64];
  std::memset(stack, 0xee, sizeof stack);
  void* context = make_context(stack + 64, [](void*, void*) {}, nullptr);
  EXPECT_GE(context, stack + 40);
  for (int i = 0; i < 40; ++i) ASSERT_EQ(stack[i], UINTPTR_MAX / 0xff * 0xee) << i;
}

// AddressSanitizer remembers what frames on a stack look like. Whoever gets the addresses next would be told of locals that
// are long gone.
TEST(context_test, of_a_stack_that_went_away_nothing_is_remembered) {
#if defined(RUNNEL_HAS_ASAN)
  char* stack = nullptr;
  {
    strands both([](strands& b) {
      char mine[100] = {};
      b.yield(mine);
      b.yield(word(static_cast<unsigned char>(mine[0])));
    });
    both.resume();
    stack = both.other.stack;
    EXPECT_NE(__asan_region_is_poisoned(stack, strand::stack_size), nullptr);
  }
  EXPECT_EQ(__asan_region_is_poisoned(stack, strand::stack_size), nullptr);
#else
  GTEST_SKIP() << "only AddressSanitizer does";
#endif
}

TEST(context_test, a_thousand_contexts_take_turns) {
  struct ring {
    std::vector<std::unique_ptr<strand>> members;
    strand* main = nullptr;
    int at = 0;
    int steps = 0;
    static void entry(void* argument, void*) {
      auto& r = *static_cast<ring*>(argument);
      int me = r.at;
      r.members[me]->begin();
      for (;;) {
        ++r.steps;
        bool last = me + 1 == static_cast<int>(r.members.size());
        if (!last) r.at = me + 1;
        r.members[me]->switch_to(last ? *r.main : *r.members[me + 1]);
      }
    }
  };
  strand main;
  ring r;
  r.main = &main;
  for (int i = 0; i < 1000; ++i) r.members.push_back(std::make_unique<strand>(&ring::entry, &r));
  for (int round = 1; round <= 3; ++round) {
    r.at = 0;
    main.switch_to(*r.members[0]);
    EXPECT_EQ(r.steps, 1000 * round);
  }
}

TEST(context_test, a_context_continues_on_another_thread_and_reads_that_threads_tls) {
  struct travel {
    strand* runs_on = nullptr;
    strand* traveller = nullptr;
    static void entry(void* argument, void*) {
      auto& t = *static_cast<travel*>(argument);
      t.traveller->begin();
      for (;;) {
        // Read twice around a switch in one function: an optimizer would like to keep the first answer.
        void* before = tls_m();
        int& error_before = errno_ref();
        t.traveller->switch_to(*t.runs_on, before);
        EXPECT_NE(before, tls_m());
        EXPECT_NE(&error_before, &errno_ref());
        EXPECT_EQ(&errno, &errno_ref());
        t.traveller->switch_to(*t.runs_on, tls_m());
      }
    }
  };
  travel t;
  strand traveller(&travel::entry, &t);
  t.traveller = &traveller;
  for (int round = 0; round < 10; ++round) {
    int here, there;
    strand first;
    set_tls_m(&here);
    t.runs_on = &first;
    EXPECT_EQ(first.switch_to(traveller), &here);
    std::thread([&] {
      strand second;
      set_tls_m(&there);
      t.runs_on = &second;
      EXPECT_EQ(second.switch_to(traveller), &there);
    }).join();
  }
  set_tls_m(nullptr);
}

}  // namespace
}  // namespace runnel::platform
