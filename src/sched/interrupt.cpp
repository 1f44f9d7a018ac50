#include "sched/interrupt.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/keep_errno.h"
#include "platform/sanitizer.h"
#include "platform/thread.h"
#include "sched/signal_catcher.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

constexpr std::int64_t patience_ns = 50'000'000;

void stand_still(int, siginfo_t*, void* context) { answer_interruption(context); }

}  // namespace

// On the interrupted thread, on its goroutine's stack or the alternate one.
bool answer_interruption(void* context) noexcept {
  m* self = current_m();
  if (self == nullptr) return false;
  platform::keep_errno keep;
  interruption& mine = self->interrupted;
  std::uint32_t phase = interruption::requested;
  if (mine.phase.load(std::memory_order_acquire) != phase) return false;
  if constexpr (platform::has_tsan) {
    // It calls handlers later, when the registers in the context are not those of the thread any more.
    mine.at = platform::registers_here();
    mine.from = platform::walk_from::call;
  } else {
    mine.at = platform::registers_of_signal(context);
  }
  mine.on = self->current;
  if (mine.phase.compare_exchange_strong(phase, interruption::stopped, std::memory_order_acq_rel)) {
    platform::futex_wake(mine.phase);
    while (mine.phase.load(std::memory_order_acquire) == interruption::stopped) {
      platform::futex_wait(mine.phase, interruption::stopped, platform::time_never);
    }
  }
  return true;
}

bool is_interruption(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &stand_still;
}

interrupter::interrupter(bool asleep_too) noexcept : asleep_too_(asleep_too) {
  if (sigaction(SIGURG, nullptr, &before_) != 0) return;
  if (is_catching_handler(before_)) {
    installed_ = true;  // it answers
    return;
  }
  if ((before_.sa_flags & SA_SIGINFO) != 0 ||
      (before_.sa_handler != SIG_DFL && before_.sa_handler != SIG_IGN)) {
    return;
  }
  struct sigaction ours{};
  ours.sa_sigaction = &stand_still;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  installed_ = sigaction(SIGURG, &ours, nullptr) == 0;
}

interrupter::~interrupter() {
  struct sigaction now{};
  // Unless the program has taken it over meanwhile.
  if (installed_ && sigaction(SIGURG, nullptr, &now) == 0 && now.sa_sigaction == &stand_still) {
    sigaction(SIGURG, &before_, nullptr);
  }
}

bool interrupter::stop(m& target, const char*& why_not) noexcept {
  int tid = target.tid.load(std::memory_order_relaxed);
  if (!installed_) {
    why_not = "the program handles SIGURG itself";
    return false;
  }
  if (!asleep_too_ && platform::thread_sleeps(tid)) {
    why_not = "its thread waits in the kernel";
    return false;
  }
  std::atomic<std::uint32_t>& phase = target.interrupted.phase;
  phase.store(interruption::requested, std::memory_order_release);
  std::int64_t deadline = platform::nanotime() + patience_ns;
  bool sent = syscall(SYS_tgkill, getpid(), tid, SIGURG) == 0;
  while (sent && phase.load(std::memory_order_acquire) == interruption::requested) {
    if (!platform::futex_wait(phase, interruption::requested, deadline) &&
        platform::nanotime() >= deadline) {
      break;
    }
  }
  std::uint32_t still = interruption::requested;
  if (phase.compare_exchange_strong(still, interruption::idle, std::memory_order_acq_rel)) {
    why_not = "its thread does not answer";
    return false;
  }
  return true;
}

void interrupter::let_go(m& target) noexcept {
  target.interrupted.phase.store(interruption::idle, std::memory_order_release);
  platform::futex_wake(target.interrupted.phase);
}

}  // namespace runnel::sched
