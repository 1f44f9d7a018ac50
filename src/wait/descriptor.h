#pragma once
// Waiting until a file descriptor is ready. No wait costs a thread.
//
// A descriptor is registered once, edge-triggered, for both directions. An event that finds nobody waiting leaves `ready`
// behind, which the next wait takes; so the pattern is: clear(), try, and if that would block, wait, and try again.
// Any number may wait in each direction. An event wakes all of them: they try again.
//
// Invariants
//   tag equal to the event's    =>  the event is about this use of the memory, not an earlier one
//   closing                     =>  nobody waits, and nobody will
//   users != 0                  =>  the descriptor's number is not closed, and the memory not used anew
//   a waiter is linked          =>  its wait counts in the runtime's io_waits or io_thread_waits
// The spin lock guards tag, closing, the deadlines and the lists; `ready` is set under it.
// Memory is never freed: events may come late (poll/net_poller.h).

#include <atomic>
#include <cstdint>

#include "base/spin_lock.h"
#include "poll/net_poller.h"
#include "runnel/detail/wait_list.h"

namespace runnel::sched {
struct m;
}

namespace runnel::wait {

enum class direction { read, write };
enum class io_outcome { ready, closed, timed_out };

class descriptor : public poll::event_source {
 public:
  // Registers fd, which must not block, and which the descriptor then owns. nullptr: `error` is an errno, fd is the
  // caller's still.
  static descriptor* open(int fd, int& error) noexcept;

  int fd() const noexcept { return fd_; }

  // Around every use of fd(). False: closed.
  bool acquire() noexcept;
  void release() noexcept;

  // Before a try: what happened up to here will be seen by it.
  void clear(direction d) noexcept { of(d).ready.store(false, std::memory_order_relaxed); }

  // A read got less than it had room for: there is no more, and the next arrival is an edge. So the next try may begin by
  // waiting, which spares a call that would find nothing. Only for streams that are never short otherwise: TCP is so but
  // for urgent data, and who gets some is remembered.
  void note_drained() noexcept {
    drained_.store(!urgent_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  bool take_drained() noexcept {
    return drained_.load(std::memory_order_relaxed) &&
           drained_.exchange(false, std::memory_order_relaxed);
  }

  // Between acquire and release.
  io_outcome wait(direction d) noexcept;

  // Nanotime; time_never: none. Those who wait are told.
  void set_deadline(direction d, std::int64_t when) noexcept;

  // Wakes everybody; fd is closed when the last user has released. False: it was closed already. The one who opened it
  // gives his use up with it.
  bool close() noexcept;

 private:
  struct side {
    std::atomic<bool> ready{false};
    std::int64_t deadline = platform::time_never;
    detail::wait_list waiting;
  };

  static void deliver_event(event_source& source, std::uint16_t tag, unsigned events,
                            poll::ready_list& ready) noexcept;
  side& of(direction d) noexcept { return d == direction::read ? read_ : write_; }
  io_outcome wait_inside(sched::m*& self, direction d) noexcept;
  io_outcome wait_locked(sched::m*& self, side& s, std::int64_t deadline) noexcept;
  void take_waiting_locked(side& s, poll::ready_list& ready) noexcept;
  void wake_all(side& s) noexcept;

  static constexpr std::uint32_t closing_bit = 1u << 31;

  base::spin_lock lock_;
  std::uint16_t tag_ = 0;
  int fd_ = -1;
  std::atomic<std::uint32_t> users_{0};  // and closing_bit
  std::atomic<bool> drained_{false};
  std::atomic<bool> urgent_{false};
  side read_;
  side write_;
};

}  // namespace runnel::wait
