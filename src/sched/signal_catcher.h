#pragma once
// Signals for those who listen (lang/signal.cpp): the handler, and what was there before it.
//
// The handler only notes the signal, rings a bell, and calls the handler that the program had. What is noted is taken by one
// thread, which sleeps at the bell. A signal that comes again before it has been taken is noted once, as everywhere in Unix.
//
// Layers: a program that puts its handler above ours may call ours from it. When somebody listens again, that handler is
// what was there before, and calling it from the same handler as below would never end. So there are several handlers that
// do the same, each with what was there before it: installation n + 1 goes above a program's handler which is above n.
//
// Invariants, of a signal, under the lock of whoever calls take and give_back
//   wanted                  =>  the handler was installed after the bit was set; the program may have replaced it since
//   the handler runs, not wanted  =>  what was there before is back, or will be called by us
// Faults of the program itself never reach listeners: they go to what was there before, mostly our report.
// Pairing: pending release (handler) -> acquire (take_pending); wanted and delivering are sequentially consistent, so that
// whoever has cleared wanted and then sees nobody delivering, finds in pending all that came before.

#include <signal.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "platform/parker.h"

namespace runnel::sched {

inline constexpr int signals_max = 64;
inline constexpr int signal_layers = 4;

constexpr std::uint64_t signal_bit(int signal) noexcept { return 1ull << (signal - 1); }

class signal_catcher {
 public:
  // The one there is. Throws std::bad_alloc, the first time.
  static signal_catcher& instance();

  // From now on the signal is noted. False: it cannot be caught.
  bool take(int signal) noexcept;
  // As it was before take or ignore.
  void give_back(int signal) noexcept;
  // From now on it is lost; sent by others, if it can come from a fault.
  bool ignore(int signal) noexcept;
  bool ignores(int signal) const noexcept {
    return (ignored_.load(std::memory_order_relaxed) & signal_bit(signal)) != 0;
  }

  // For the thread at the bell.
  void wait() noexcept { bell_.park(); }
  void ring() noexcept { bell_.unpark(); }
  std::uint64_t take_pending() noexcept { return pending_.exchange(0, std::memory_order_acquire); }
  // Until every handler that found its signal wanted before the call has noted it.
  void settle() noexcept;

 private:
  friend struct catching_handler;

  // What was there before a layer's handler.
  struct beneath {
    std::atomic<std::uintptr_t> handler{0};  // with the marks in signal_catcher.cpp
    struct sigaction saved{};
    bool in_use = false;
  };

  bool install(int signal) noexcept;
  beneath& at(int layer, int signal) noexcept {
    return beneath_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(signal - 1)];
  }
  void handle(int layer, int signal, siginfo_t* info, void* context) noexcept;
  void pass_on(int layer, int signal, siginfo_t* info, void* context) noexcept;
  void call_beneath(std::uintptr_t before, int layer, int signal, siginfo_t* info,
                    void* context) noexcept;

  std::atomic<std::uint64_t> wanted_{0};
  std::atomic<std::uint64_t> ignored_{0};
  std::atomic<std::uint64_t> pending_{0};
  std::atomic<std::uint32_t> delivering_{0};
  platform::parker bell_;
  int process_ = 0;  // a fork has no thread that would wake at the bell
  std::array<std::array<beneath, signals_max>, signal_layers> beneath_;
  std::array<struct sigaction, signals_max> before_ignored_{};
};

// Whether it is the handler of a layer.
bool is_catching_handler(const struct sigaction& action) noexcept;

}  // namespace runnel::sched
