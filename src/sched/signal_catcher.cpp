#include "sched/signal_catcher.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "platform/fault.h"
#include "platform/keep_errno.h"
#include "platform/thread.h"
#include "sched/fault_report.h"
#include "sched/interrupt.h"
#include "sched/reporter.h"
#include "sched/runtime.h"

namespace runnel::sched {

// The functions that the kernel calls.
struct catching_handler {
  template <int Layer>
  static void call(int signal, siginfo_t* info, void* context) {
    platform::keep_errno keep;
    rt().signals.load(std::memory_order_relaxed)->handle(Layer, signal, info, context);
  }
};

namespace {

// Addresses of functions leave the highest bits alone.
constexpr std::uintptr_t takes_info = 1ull << 63;  // SA_SIGINFO
constexpr std::uintptr_t once = 1ull << 62;        // SA_RESETHAND
constexpr std::uintptr_t ours = 1ull << 61;  // the dump of SIGQUIT: not for signals that are wanted
constexpr std::uintptr_t marks = takes_info | once | ours;

using function = void (*)(int, siginfo_t*, void*);
constexpr function handlers[signal_layers] = {
    &catching_handler::call<0>,
    &catching_handler::call<1>,
    &catching_handler::call<2>,
    &catching_handler::call<3>,
};

// -1: none of ours.
int layer_of(const struct sigaction& action) noexcept {
  if ((action.sa_flags & SA_SIGINFO) == 0) return -1;
  auto found = std::find(std::begin(handlers), std::end(handlers), action.sa_sigaction);
  return found == std::end(handlers) ? -1 : static_cast<int>(found - std::begin(handlers));
}

bool is_handler(std::uintptr_t before) noexcept {
  return before != reinterpret_cast<std::uintptr_t>(SIG_DFL) &&
         before != reinterpret_cast<std::uintptr_t>(SIG_IGN);
}

std::uintptr_t packed(const struct sigaction& action) noexcept {
  bool with_info = (action.sa_flags & SA_SIGINFO) != 0;
  auto address = with_info ? reinterpret_cast<std::uintptr_t>(action.sa_sigaction)
                           : reinterpret_cast<std::uintptr_t>(action.sa_handler);
  if (!is_handler(address)) return address;
  if (with_info) address |= takes_info;
  if ((static_cast<unsigned>(action.sa_flags) & static_cast<unsigned>(SA_RESETHAND)) != 0) {
    address |= once;
  }
  if (is_dump_on_quit(action)) address |= ours;
  return address;
}

bool can_be_a_fault(int signal) noexcept {
  auto all = platform::fault_signals();
  return std::find(all.begin(), all.end(), signal) != all.end();
}

// Not sent by kill and its like. abort() raises its signal, and cannot be survived.
bool is_fault(int signal, const siginfo_t& info) noexcept {
  if (!can_be_a_fault(signal)) return false;
  return info.si_code > 0 || (signal == SIGABRT && info.si_pid == getpid());
}

// Once this handler has returned, for whoever handles it then.
void send_again(int signal) noexcept {
  sigset_t these;
  sigemptyset(&these);
  sigaddset(&these, signal);
  pthread_sigmask(SIG_BLOCK, &these, nullptr);
  syscall(SYS_tgkill, getpid(), platform::thread_id(), signal);
}

// How we are called: as what was there before would have been.
void adopt_flags(int signal, const struct sigaction& before, struct sigaction& mine) noexcept {
  auto flags = static_cast<unsigned>(before.sa_flags);
  if (is_handler(packed(before))) {
    flags &= ~static_cast<unsigned>(SA_RESETHAND);
    mine.sa_mask = before.sa_mask;
  } else if (can_be_a_fault(signal)) {
    flags = SA_ONSTACK | SA_NODEFER;
    sigemptyset(&mine.sa_mask);
  } else {
    flags &= SA_NOCLDSTOP | SA_NOCLDWAIT;
    flags |= SA_ONSTACK | SA_RESTART;
    // Children of a program that ignores their end are not waited for.
    if (signal == SIGCHLD && before.sa_handler == SIG_IGN) flags |= SA_NOCLDWAIT;
    sigfillset(&mine.sa_mask);
  }
  mine.sa_flags = static_cast<int>(flags | SA_SIGINFO);
}

}  // namespace

signal_catcher& signal_catcher::instance() {
  std::atomic<signal_catcher*>& place = rt().signals;
  signal_catcher* found = place.load(std::memory_order_acquire);
  if (found != nullptr) return *found;
  auto* made = new signal_catcher;
  made->process_ = getpid();
  if (place.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *found;
}

bool signal_catcher::take(int signal) noexcept {
  if (ignored_.load(std::memory_order_relaxed) & signal_bit(signal)) give_back(signal);
  wanted_.fetch_or(signal_bit(signal), std::memory_order_seq_cst);
  if (install(signal)) return true;
  wanted_.fetch_and(~signal_bit(signal), std::memory_order_seq_cst);
  return false;
}

bool signal_catcher::install(int signal) noexcept {
  if (can_be_a_fault(signal)) install_fault_report();  // beneath ours
  struct sigaction now{};
  if (sigaction(signal, nullptr, &now) != 0) return false;
  if (layer_of(now) >= 0) return true;
  if (is_interruption(now)) now = {};
  int layer = 0;
  while (layer < signal_layers && at(layer, signal).in_use) ++layer;
  // A program that again and again puts itself above us: the latest is not called.
  if (layer == signal_layers) --layer;
  beneath& here = at(layer, signal);
  if (!here.in_use) {
    here.saved = now;
    here.handler.store(packed(now), std::memory_order_relaxed);
    here.in_use = true;
  }
  struct sigaction mine{};
  mine.sa_sigaction = handlers[layer];
  adopt_flags(signal, now, mine);
  if (sigaction(signal, &mine, nullptr) == 0) return true;
  here.in_use = false;  // SIGKILL, SIGSTOP, and those of the C library
  return false;
}

void signal_catcher::give_back(int signal) noexcept {
  std::uint64_t bit = signal_bit(signal);
  struct sigaction now{};
  sigaction(signal, nullptr, &now);
  // Unless a handler is above ours, which may go on calling it.
  if (int layer = layer_of(now); layer >= 0) {
    beneath& here = at(layer, signal);
    bool spent = !is_handler(here.handler.load(std::memory_order_relaxed));
    if (spent && is_handler(packed(here.saved))) here.saved.sa_handler = SIG_DFL;
    sigaction(signal, &here.saved, nullptr);
    here.in_use = false;
    if (signal == SIGQUIT) dump_on_quit();
  } else if (ignored_.load(std::memory_order_relaxed) & bit && !can_be_a_fault(signal) &&
             (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN) {
    sigaction(signal, &before_ignored_[static_cast<std::size_t>(signal - 1)], nullptr);
    if (signal == SIGQUIT) dump_on_quit();
  }
  wanted_.fetch_and(~bit, std::memory_order_seq_cst);
  ignored_.fetch_and(~bit, std::memory_order_seq_cst);
}

bool signal_catcher::ignore(int signal) noexcept {
  give_back(signal);
  if (can_be_a_fault(signal)) {
    ignored_.fetch_or(signal_bit(signal), std::memory_order_seq_cst);
    return install(signal);
  }
  struct sigaction none{};
  none.sa_handler = SIG_IGN;
  if (sigaction(signal, &none, &before_ignored_[static_cast<std::size_t>(signal - 1)]) != 0) {
    return false;
  }
  ignored_.fetch_or(signal_bit(signal), std::memory_order_seq_cst);
  return true;
}

void signal_catcher::settle() noexcept {
  while (delivering_.load(std::memory_order_seq_cst) != 0) sched_yield();
}

void signal_catcher::handle(int layer, int signal, siginfo_t* info, void* context) noexcept {
  std::uint64_t bit = signal_bit(signal);
  if (signal == SIGURG && answer_interruption(context)) return;
  if (getpid() != process_ || is_fault(signal, *info)) {
    return pass_on(layer, signal, info, context);
  }
  delivering_.fetch_add(1, std::memory_order_seq_cst);
  bool wanted = (wanted_.load(std::memory_order_seq_cst) & bit) != 0;
  if (wanted) pending_.fetch_or(bit, std::memory_order_release);
  delivering_.fetch_sub(1, std::memory_order_seq_cst);
  if (!wanted) {
    if ((ignored_.load(std::memory_order_seq_cst) & bit) == 0) {
      pass_on(layer, signal, info, context);
    }
    return;
  }
  bell_.unpark();
  std::uintptr_t before = at(layer, signal).handler.load(std::memory_order_relaxed);
  if (is_handler(before) && (before & ours) == 0 && !can_be_a_fault(signal)) {
    call_beneath(before, layer, signal, info, context);
  }
}

void signal_catcher::pass_on(int layer, int signal, siginfo_t* info, void* context) noexcept {
  std::uintptr_t before = at(layer, signal).handler.load(std::memory_order_relaxed);
  if (is_handler(before)) return call_beneath(before, layer, signal, info, context);
  if (is_fault(signal, *info)) return platform::die_after_handler(signal);
  if (before == reinterpret_cast<std::uintptr_t>(SIG_IGN)) return;
  struct sigaction now{};
  sigaction(signal, nullptr, &now);
  if (layer_of(now) == layer) {
    // Nobody has put back what was there: in a fork; or who was above us has gone, and nobody listens any more.
    platform::die_after_handler(signal);
  } else if (layer_of(now) < 0 && !is_handler(packed(now))) {
    send_again(signal);  // it is back already
  }
  // Otherwise it is the matter of whoever has called us.
}

void signal_catcher::call_beneath(std::uintptr_t before, int layer, int signal, siginfo_t* info,
                                  void* context) noexcept {
  if ((before & once) != 0) {
    auto none = reinterpret_cast<std::uintptr_t>(SIG_DFL);
    if (!at(layer, signal).handler.compare_exchange_strong(before, none)) return;
  }
  if ((before & takes_info) != 0) {
    reinterpret_cast<function>(before & ~marks)(signal, info, context);
  } else {
    reinterpret_cast<void (*)(int)>(before & ~marks)(signal);
  }
}

bool is_catching_handler(const struct sigaction& action) noexcept { return layer_of(action) >= 0; }

}  // namespace runnel::sched
