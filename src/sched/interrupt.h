#pragma once
// Stops the thread of an M that runs user code, for as long as somebody looks at its stack: by a signal, and only for
// reports. SIGURG, as Go: nobody is surprised by one that comes for no reason, and it is ignored where we have no handler.
//
// Phases of an interruption: idle -> requested (whoever looks) -> stopped (the thread, in the handler) -> idle (whoever
// looks). A request that is not answered in time is withdrawn: requested -> idle.
// Pairing: phase release (stopped) -> phase acquire (the looker): `at` and `on`.

#include <atomic>
#include <csignal>
#include <cstdint>

#include "platform/stack_walk.h"

namespace runnel::sched {

struct g;
struct m;

struct interruption {
  static constexpr std::uint32_t idle = 0, requested = 1, stopped = 2;

  std::atomic<std::uint32_t> phase{idle};
  platform::registers at{};
  platform::walk_from from = platform::walk_from::instruction;
  g* on = nullptr;  // what the M was running
};

// While it lives, threads can be interrupted, unless the program uses SIGURG itself.
class interrupter {
 public:
  // `asleep_too`: also threads in a system call, which may then fail with EINTR.
  explicit interrupter(bool asleep_too) noexcept;
  ~interrupter();
  interrupter(const interrupter&) = delete;
  interrupter& operator=(const interrupter&) = delete;

  // True: the thread stands still until let_go(). Until then the caller must neither allocate nor lock anything that the
  // thread may hold. Otherwise `why_not` says why.
  bool stop(m& target, const char*& why_not) noexcept;
  void let_go(m& target) noexcept;

 private:
  bool installed_ = false;
  bool asleep_too_;
  struct sigaction before_{};
};

// By whoever else handles SIGURG (sched/signal_catcher.h). True: it was an interruption, and is over.
bool answer_interruption(void* context) noexcept;
// Whether it is the handler of an interrupter, which will go.
bool is_interruption(const struct sigaction& action) noexcept;

}  // namespace runnel::sched
