#pragma once
// Stopping every other thread of the process, wherever it is, and finding what its registers hold: for looking for pointers
// in memory that then stands still.
//
// By a signal, SIGURG, which does nothing to a program that does not ask for it. Each thread answers from the handler, and
// waits there; its registers lie in the signal's frame. System calls that a signal may end (poll, nanosleep) see EINTR.
//
// Threads may be stopped while they hold any lock, of the allocator or anybody's: between stop and resume the caller may not
// take one. A thread that does not answer (it blocks SIGURG, or is stopped by a debugger) makes stop fail.
//
// One at a time in the process: the caller sees to that.

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "platform/page_array.h"

namespace runnel::platform {

struct stopped_thread {
  int tid = 0;            // 0: it has ended meanwhile
  std::uintptr_t sp = 0;  // where the signal found it
  // Where its registers are kept, and what it was doing on its signal stack, if it was there already.
  std::uintptr_t registers_begin = 0;
  std::uintptr_t registers_end = 0;
  // Its signal stack, if it has one: what else is there means nothing.
  std::uintptr_t signal_stack_begin = 0;
  std::uintptr_t signal_stack_end = 0;
};

class stop_threads {
 public:
  stop_threads() = default;
  ~stop_threads() { resume(); }
  stop_threads(const stop_threads&) = delete;
  stop_threads& operator=(const stop_threads&) = delete;

  // All threads but the caller's. False: some did not answer in time, and all go on.
  bool stop(std::int64_t deadline) noexcept;
  void resume() noexcept;

  // Of threads that were found; those that ended meanwhile have no registers.
  std::size_t size() const noexcept { return seats_.size(); }
  const stopped_thread& operator[](std::size_t i) const noexcept { return seats_[i].thread; }
  const void* memory() const noexcept { return seats_.memory(); }
  std::size_t memory_size() const noexcept { return seats_.memory_size(); }
  int unanswered() const noexcept { return unanswered_; }  // a thread that did not answer

 private:
  enum class answer : std::uint32_t { none, stopped, gone };
  struct seat {
    stopped_thread thread;
    answer state;  // atomic
  };

  static void on_signal(int number, siginfo_t* info, void* context) noexcept;
  void answer_and_wait(seat& mine, const void* context) noexcept;
  seat* seat_of(int tid) noexcept;
  bool signal_new_threads(bool& found) noexcept;
  bool wait_for_answers(std::int64_t deadline) noexcept;
  bool note_gone(seat& s) noexcept;

  page_array<seat> seats_;  // does not move
  std::atomic<std::size_t> taken_{0};
  struct sigaction before_{};
  bool installed_ = false;
  int unanswered_ = 0;
  std::atomic<std::uint32_t> answers_{0};
  std::atomic<std::uint32_t> going_on_{0};
};

}  // namespace runnel::platform
