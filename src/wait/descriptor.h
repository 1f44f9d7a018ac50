#pragma once
// Waiting until a file descriptor is ready. No goroutine's wait costs a thread.
//
// A descriptor is registered once, edge-triggered, for both directions. Events are counted; so the pattern is: read the
// count, try, and if that would block, wait for another count, and try again. Nobody can take an event away from another
// (a flag that the next try clears could be cleared by one of several who accept connections, and the others would sleep
// with connections waiting). Any number may wait in each direction. An event wakes all of them: they try again.
//
// A goroutine that waits holds no use: so a close is done at once, also if that goroutine belongs to a run that is over and
// never goes on. A plain thread waits in poll(2), which needs no run to be under way, and holds a use meanwhile.
//
// Invariants
//   tag equal to the event's    =>  the event is about this use of the memory, not an earlier one
//   closing                     =>  nobody begins to wait; who waits is being woken
//   uses != 0                   =>  the number fd is not closed
//   owned, or uses != 0         =>  the memory is not used anew: late calls of the owner's find a closed descriptor
//   a goroutine is linked       =>  its wait counts in the runtime's io_waits, unless its run is over
// The spin lock guards the tag and the lists; closing and the deadlines are looked at under it before a wait begins.
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
  // caller's still. The caller owns the descriptor, until disown().
  static descriptor* open(int fd, int& error) noexcept;
  // After close(): the owner calls nothing more. Those who are inside may be so still.
  void disown() noexcept;

  // -1 once closed.
  int fd() const noexcept {
    return (users_.load(std::memory_order_acquire) & closing_bit) == 0 ? fd_ : -1;
  }

  // Around every use of number(). False: closed.
  bool acquire() noexcept;
  void release() noexcept;
  int number() const noexcept { return fd_; }

  // Before a try. What happens later will be counted.
  std::uint32_t events(direction d) noexcept {
    return of(d).events.load(std::memory_order_acquire);
  }
  // Whether the deadline has passed.
  bool is_late(direction d) noexcept;

  // A read that began at `seen` got less than it had room for: nothing is left, and what arrives will be counted. So the
  // next one may begin by waiting, which spares a call that would find nothing. Only for streams that are never short
  // otherwise: TCP is so, but for urgent data. And the end may have come together with the bytes, in one event; so who has
  // ever got such an event makes the call.
  void note_drained(std::uint32_t seen) noexcept {
    if (!beyond_.load(std::memory_order_relaxed)) {
      drained_.store(drained_bit | seen, std::memory_order_relaxed);
    }
  }
  bool take_drained(std::uint32_t& seen) noexcept {
    if (drained_.load(std::memory_order_relaxed) == 0) return false;
    std::uint64_t found = drained_.exchange(0, std::memory_order_relaxed);
    seen = static_cast<std::uint32_t>(found);
    return found != 0;
  }

  // Until something has happened that `seen` does not count, or for no reason; timed_out at the deadline, or at `until`. The
  // caller holds no use.
  io_outcome wait(direction d, std::uint32_t seen,
                  std::int64_t until = platform::time_never) noexcept;

  // Nanotime; time_never: none. Those who wait are told.
  void set_deadline(direction d, std::int64_t when) noexcept;

  // Wakes everybody; fd is closed when the last user has released. False: it was closed already.
  bool close() noexcept;

 private:
  struct side {
    std::atomic<std::uint32_t> events{0};
    std::atomic<std::int64_t> deadline{platform::time_never};
    detail::wait_list waiting;
  };

  static descriptor* take_free() noexcept;
  static void give_free(descriptor& unused) noexcept;
  static void deliver_event(event_source& source, std::uint16_t tag, unsigned events,
                            poll::ready_list& ready) noexcept;
  side& of(direction d) noexcept { return d == direction::read ? read_ : write_; }
  bool closing() const noexcept {
    return (users_.load(std::memory_order_relaxed) & closing_bit) != 0;
  }
  // The last look before a wait.
  bool must_wait_locked(side& s, std::uint32_t seen, std::int64_t limit,
                        io_outcome& result) noexcept;
  io_outcome wait_on_goroutine(sched::m* self, side& s, std::uint32_t seen,
                               std::int64_t until) noexcept;
  io_outcome wait_on_thread(direction d, std::uint32_t seen, std::int64_t until) noexcept;
  void take_waiting_locked(side& s, poll::ready_list& ready) noexcept;

  static constexpr std::uint32_t closing_bit = 1u << 31;
  static constexpr std::uint32_t owned_bit = 1u << 30;
  static constexpr std::uint64_t drained_bit = std::uint64_t{1} << 32;

  base::spin_lock lock_;
  std::uint16_t tag_ = 0;
  int fd_ = -1;
  std::atomic<std::uint32_t> users_{0};  // uses, one of them for being open; and the bits
  std::atomic<std::uint64_t> drained_{0};
  std::atomic<bool> beyond_{false};
  side read_;
  side write_;
};

}  // namespace runnel::wait
