#pragma once
// The poller in the scheduler's search for work. An idle M, the sleeper, waits in it with the next timer as its limit; one
// with a P looks without waiting, when it runs out of work and every 61st time besides; sysmon, when nobody has for 10 ms.
//
// Only in the scheduling loop: who is being suspended may still hold the lock of a descriptor, which an event for it needs.
//
// Only goroutines are waited for here: a plain thread that waits for a descriptor does so in poll(2).
//
// Invariant: io_waits != 0 and a P idle  =>  the sleeper is in the poller, or somebody is on the way there.

#include <cstddef>
#include <cstdint>

#include "poll/net_poller.h"
#include "sched/m.h"

namespace runnel::sched {

// Makes runnable here, behind everything, whoever can go on. Returns how many.
std::size_t poll_network(m& self) noexcept;

// Opens the poller, if it is not open yet. 0, or an errno.
int open_network() noexcept;

// The goroutines of the list: to the P of `self`, or to the global queue. One alone is mostly run here at once, and needs
// no announcement; unless `self` goes on with something else.
enum class announce { several, always };
void put_ready(m* self, poll::ready_list& ready, announce when = announce::several) noexcept;

// By an idle M, the sleeper: as its parker's park(until), but in the poller.
bool sleep_in_poller(m& self, std::int64_t until, poll::ready_list& ready) noexcept;

// A P has become idle in another way than by its M's running out of work: sees to it that somebody waits in the poller.
void watch_network() noexcept;

// By sysmon.
void poll_if_neglected(std::int64_t now) noexcept;

}  // namespace runnel::sched
