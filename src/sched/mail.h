#pragma once
// Goroutines that move to another P: where the others are that use the same object.
//
// When two Ps use one channel so often that they wait for its lock again and again, each operation costs more than all the
// work it does, and there is next to no work besides. Then it is better to gather its users on one P: who had to wait goes
// to the other, by mail.
//
// Invariants, under the runtime's lock
//   a P has mail     =>  it is not idle: going idle and sending look under the same lock
//   the world starts =>  no P has mail: it went to the global queue
// mail_size mirrors the list for reading without the lock. The owner looks at it every 8th tick, and before it searches
// elsewhere; who takes the P over finds it there.

#include <cstdint>

#include "platform/clock.h"
#include "sched/m.h"
#include "sched/p.h"

namespace runnel::sched {

// Moves the current goroutine to `other`, or leaves it here; returns the M it runs on.
m* gather(m* self, p& other) noexcept;

// The first of the P's mail, the rest into its ring; nullptr: none.
runnable* take_mail(p& pp) noexcept;
runnable* take_mail_locked(p& pp) noexcept;
// Of a P that stands still.
runnable* steal_mail(p& victim) noexcept;
// Everybody's mail into the global queue.
void return_mail_locked() noexcept;

// How often Ps have to wait for one another at an object. Under the object's lock.
class contention_watch {
 public:
  // A P had to wait for another. True: they hinder each other so often that they should not both be here.
  bool note() noexcept {
    std::int64_t now = platform::nanotime();
    bool soon = now - last_ < soon_ns;
    last_ = now;
    count_ = soon ? count_ + 1 : 0;
    if (count_ < enough) return false;
    count_ = 0;
    return true;
  }

 private:
  static constexpr std::int64_t soon_ns = 2'000;
  static constexpr std::uint32_t enough = 8;

  std::int64_t last_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace runnel::sched
