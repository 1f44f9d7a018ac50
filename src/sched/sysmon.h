#pragma once
// The monitor: a thread without a P that sees to what no running M would see to.
//
// It sleeps 20 µs, then, while it finds nothing to do, up to 10 ms at a time; when every P is idle it sleeps
// until one is not. Each time it
//   asks a G that has run for 10 ms to yield, and takes the P of one that does not enter the runtime to
//     hear that (a loop, a long computation), if other work waits;
//   takes the P of an M that the kernel says is asleep although its G announced nothing (a blocking library
//     call), after 1 ms, if other work waits; sooner where it has just seen another one;
//   starts an M where work or a timer waits for an idle P (a thread could not be started, a wake-up fell
//     between two chairs);
//   every second, follows the CPU quota and releases memory of stacks that nobody used.

#include <cstdint>

namespace runnel::sched {

inline constexpr std::int64_t slice_ns_max = 10'000'000;         // 10 ms
inline constexpr std::int64_t unannounced_block_ns = 1'000'000;  // 1 ms
inline constexpr std::int64_t crowd_block_ns = 50'000;           // for so long after such a call:
inline constexpr std::int64_t crowd_ns = 10'000'000;
inline constexpr std::int64_t deaf_ns = 100'000;  // from asking to yield to taking the P

void start_sysmon() noexcept;
void wake_sysmon() noexcept;  // cheap when it is awake

}  // namespace runnel::sched
