// Faults: what they are called, what is known of one, and whose handler stays.

#include "platform/fault.h"

#include <gtest/gtest.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "platform/address_space.h"

namespace runnel::platform {
namespace {

using std::string_view;

// Leaves the process's handlers as it found them.
class fault_test : public testing::Test {
 protected:
  fault_test() {
    for (std::size_t i = 0; i < before_.size(); ++i) {
      sigaction(fault_signals()[i], nullptr, &before_[i]);
    }
  }
  ~fault_test() override {
    for (std::size_t i = 0; i < before_.size(); ++i) {
      sigaction(fault_signals()[i], &before_[i], nullptr);
    }
  }

  static void set_handler(int signal, void (*handler)(int)) {
    struct sigaction wish{};
    wish.sa_handler = handler;
    ASSERT_EQ(sigaction(signal, &wish, nullptr), 0);
  }
  static void set_all_to_default() {
    for (int signal : fault_signals()) set_handler(signal, SIG_DFL);
  }

 private:
  std::array<struct sigaction, 7> before_;
};

fault seen;
sigjmp_buf after_fault;

void note_fault(int, siginfo_t* info, void* ucontext) {
  seen = describe_fault(*info, ucontext);
  siglongjmp(after_fault, 1);
}

// What is known of the fault that `cause` commits.
template <class F>
const fault& fault_of(F cause) {
  for (int signal : fault_signals()) {
    struct sigaction wish{};
    wish.sa_sigaction = &note_fault;
    wish.sa_flags = SA_SIGINFO;
    sigaction(signal, &wish, nullptr);
  }
  seen = {};
  if (sigsetjmp(after_fault, 1) == 0) cause();
  return seen;
}

TEST_F(fault_test, is_called_as_go_calls_it) {
  EXPECT_EQ(signal_name(SIGSEGV), string_view("SIGSEGV"));
  EXPECT_EQ(signal_text(SIGSEGV), string_view("segmentation violation"));
  EXPECT_EQ(signal_text(SIGBUS), string_view("bus error"));
  EXPECT_EQ(signal_text(SIGABRT), string_view("abort"));
  for (int signal : fault_signals()) {
    EXPECT_NE(signal_name(signal), string_view("?"));
    EXPECT_NE(signal_text(signal), string_view("signal"));
  }
}

TEST_F(fault_test, codes_have_words) {
  EXPECT_EQ(code_text(SIGSEGV, SEGV_MAPERR), string_view("address not mapped"));
  EXPECT_EQ(code_text(SIGSEGV, SEGV_ACCERR), string_view("no permission"));
  EXPECT_EQ(code_text(SIGFPE, FPE_INTDIV), string_view("integer divide by zero"));
  EXPECT_EQ(code_text(SIGBUS, BUS_ADRALN), string_view("misaligned address"));
  EXPECT_EQ(code_text(SIGABRT, SI_TKILL), string_view("raised"));
  EXPECT_EQ(code_text(SIGSEGV, SI_USER), string_view("sent by a process"));
  EXPECT_EQ(code_text(SIGSEGV, 0x7777), nullptr);
}

TEST_F(fault_test, has_the_address_that_was_read) {
  auto* page =
      static_cast<char*>(mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(page, MAP_FAILED);
  const fault& f = fault_of([&] { (void)*static_cast<volatile char*>(page + 17); });
  EXPECT_EQ(f.signal, SIGSEGV);
  EXPECT_EQ(f.code, SEGV_ACCERR);
  EXPECT_TRUE(f.has_address);
  EXPECT_EQ(f.address, reinterpret_cast<std::uintptr_t>(page + 17));
  EXPECT_EQ(f.sender, 0);
  munmap(page, page_size());
}

[[gnu::noinline]] void marked_trap() { __builtin_trap(); }

TEST_F(fault_test, has_the_instruction_and_the_stack) {
  const fault& f = fault_of([] { marked_trap(); });
  auto function = reinterpret_cast<std::uintptr_t>(&marked_trap);
  auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  EXPECT_TRUE(f.signal == SIGILL || f.signal == SIGTRAP) << f.signal;
  EXPECT_GE(f.pc, function);
  EXPECT_LT(f.pc, function + 64);
  EXPECT_LT(here - f.sp, 4096u);
}

TEST_F(fault_test, lists_every_register_once_with_the_pc_among_them) {
  const fault& f = fault_of([] { marked_trap(); });
  std::array<string_view, machine_registers> names;
  std::ranges::transform(f.registers, names.begin(), [](const auto& r) { return r.name; });
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  auto pc = std::ranges::find_if(f.registers, [](const auto& r) {
    return r.name == string_view("rip") || r.name == string_view("pc");
  });
  ASSERT_NE(pc, f.registers.end());
  EXPECT_EQ(pc->value, f.pc);
}

TEST_F(fault_test, of_a_sent_signal_names_the_sender_and_no_address) {
  const fault& f = fault_of([] { kill(getpid(), SIGSEGV); });
  EXPECT_EQ(f.signal, SIGSEGV);
  EXPECT_EQ(f.sender, getpid());
  EXPECT_FALSE(f.has_address);
}

TEST_F(fault_test, handler_of_the_program_stays) {
  set_all_to_default();
  auto programs_own = +[](int) {};
  set_handler(SIGFPE, programs_own);
  set_handler(SIGABRT, SIG_IGN);
  auto ours = +[](int, siginfo_t*, void*) {};
  EXPECT_EQ(install_fault_handler(ours), 5);
  struct sigaction now{};
  sigaction(SIGFPE, nullptr, &now);
  EXPECT_EQ(now.sa_handler, programs_own);
  sigaction(SIGABRT, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
  sigaction(SIGSEGV, nullptr, &now);
  EXPECT_EQ(now.sa_sigaction, ours);
  EXPECT_EQ(now.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_NODEFER),
            SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
}

TEST_F(fault_test, handler_may_leave_the_end_to_the_signal) {
  EXPECT_EXIT(
      {
        set_all_to_default();
        install_fault_handler(+[](int signal, siginfo_t*, void*) { die_after_handler(signal); });
        raise(SIGABRT);
      },
      testing::KilledBySignal(SIGABRT), "");
}

TEST_F(fault_test, dies_by_a_signal_that_is_blocked_and_handled) {
  EXPECT_EXIT(
      {
        set_handler(SIGABRT, [](int) {});
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        die_by_signal(SIGABRT);
      },
      testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace runnel::platform
