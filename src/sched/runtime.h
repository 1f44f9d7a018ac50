#pragma once
// The runtime object: everything that is not an M's, a P's or a G's own. There is one, it lives for ever, and
// it is the only global state.
//
// Lock order: world  ->  runtime lock  ->  a P's timer heap  ->  pools. None is held over a switch.
//
// Invariants ("lock" is the runtime lock)
//   gate.idle(), global_size            mirrors of lists under lock, for reading without it
//   stopping                            =>  no M takes a P; Ms with one give it up when they schedule
//   world is held                       =>  the holder is the one claimant
//   epoch changes                       =>  every P is stopped; goroutines of older epochs are frozen

#include <array>
#include <atomic>
#include <cstdint>

#include "base/intrusive_queue.h"
#include "memory/record_pool.h"
#include "platform/frame_cache.h"
#include "platform/lock.h"
#include "platform/parker.h"
#include "poll/net_poller.h"
#include "runnel/go.h"
#include "sched/g.h"
#include "sched/g_pool.h"
#include "sched/global_queue.h"
#include "sched/idle_gate.h"
#include "sched/m.h"
#include "sched/p.h"

namespace runnel::sched {

struct trouble;
struct dump_wish;
struct walk_escape;
class signal_catcher;

inline constexpr int max_procs_limit = 1024;
inline constexpr std::uint32_t vain_visits_max = 14;

struct runtime {
  // Read at every scheduling decision, written seldom.
  alignas(64) std::atomic<int> procs{0};
  std::atomic<bool> stopping{false};
  std::atomic<std::uint32_t> epoch{0};
  std::size_t default_slot = 256 << 10;
  std::array<std::atomic<p*>, max_procs_limit> all_p{};
  std::atomic<int> p_made{0};                    // Ps that exist; all_p[0 .. p_made)
  std::atomic<std::uint32_t> house_keepings{0};  // sysmon's, one a second: sync::pool ages by them

  idle_gate<base::hardware> gate;
  std::atomic<std::uint32_t> vain_visits{0};  // of thieves in a row, bounded by vain_visits_max
  alignas(64) std::atomic<std::int64_t> global_size{0};

  alignas(64) platform::lock lock;
  global_queue global;
  p* idle_ps = nullptr;
  m* idle_ms = nullptr;
  m* sleeper =
      nullptr;  // an idle M that waits for the next timer, and in the poller; not in idle_ms
  bool sleeper_called = false;  // it has been given a P, but is still on its way out
  int m_count = 0;              // threads, dead ones not counted
  int m_limit = 10'000;
  int m_numbers = 0;
  bool thread_shortage_reported = false;

  std::atomic<std::int64_t> sleeper_until{platform::time_never};
  std::atomic<m*> all_m{nullptr};

  platform::lock world;

  // sysmon
  platform::parker sysmon_bed;
  std::atomic<int> sysmon_tid{0};
  std::atomic<bool> sysmon_asleep{false};
  bool sysmon_started = false;
  std::atomic<bool> follow_quota{true};  // until the program chooses a number itself

  // Descriptors
  poll::net_poller net;
  int spins_left_out = 0;  // of the sleeper alone
  int spins_to_leave_out = 0;
  std::atomic<int> io_waits{0};  // goroutines of this run that wait for descriptors
  bool awaits_io() const noexcept { return io_waits.load(std::memory_order_relaxed) != 0; }
  platform::lock descriptors;  // the free ones: wait/descriptor.h
  poll::event_source* free_descriptors = nullptr;

  // Signals: sched/signal_catcher.h, lang/signal.cpp
  std::atomic<signal_catcher*> signals{nullptr};
  std::atomic<void*> signal_listeners{nullptr};
  std::atomic<int> signal_tid{0};            // of the thread that tells them
  std::atomic<bool> signals_awaited{false};  // somebody listens: who waits may yet be woken

  std::atomic<void*> net_errors{nullptr};  // net/errors.cpp: what operations' errors are called

  // Seconds of the monotonic clock, near enough: how long goroutines wait. Sysmon's; when it sleeps, nobody parks.
  std::atomic<std::uint32_t> seconds{0};

  // Reports: sched/reporter.h
  std::atomic<bool> reporter_started{false};
  std::atomic<int> reporter_tid{0};
  std::atomic<bool> quit_wished{false};
  std::atomic<const struct trouble*> trouble{nullptr};
  std::atomic<std::uint64_t> report_progress{0};  // counts: names found, goroutines shown
  std::atomic<walk_escape*> escape{nullptr};      // sched/careful_walk.h
  std::atomic<dump_wish*> dump_wishes{nullptr};
  platform::parker reporter_bed;

  thread_frames sysmon_frames;
  thread_frames reporter_frames;
  std::uintptr_t reporter_descriptor = 0;  // platform/ended_stacks.h learns from it

  // Goroutines
  g_pool gs;
  memory::record_central records;
  std::atomic<std::uint64_t> next_id{1};
  std::atomic<std::int64_t> started_outside{0};  // by plain threads, or by Ms without a P

  std::atomic<std::uint64_t> next_local_key{1};  // goroutine_local

  platform::frame_cache frames;  // of everybody's stacks

  base::intrusive_queue<runnable> dropped;      // under lock: tasks of runs that are over
  timer_callback* dropped_callbacks = nullptr;  // likewise
  std::atomic<int> procs_wished{0};             // max_procs(n) outside of a run: for the next one

  // The floating-point state that goroutines begin with: that of the thread in run().
  platform::fpu_control initial_fpu;

  // Who may still do something although every P is idle (deadlock.h)
  std::atomic<int> at_large{0};         // goroutines in user code without a P: blocking, revoked
  std::atomic<int> threads_waiting{0};  // plain threads that wait for something of ours
  std::atomic<int> run_tid{0};          // the thread in run()
  std::atomic<deadlock_check> deadlock{deadlock_check::automatic};

  // The current run
  std::atomic<bool> run_claimed{false};  // some thread is in run()
  std::atomic<bool> active{false};
  std::atomic<bool> main_exited{false};  // main called goexit
  std::atomic<bool> forked{false};       // this process is a fork of the one that started us
  platform::parker* main_done = nullptr;
};

// Never destroyed: goroutines and threads may outlive main().
union immortal_runtime {
  constexpr immortal_runtime() : value{} {}
  ~immortal_runtime() {}
  runtime value;
};
extern constinit immortal_runtime the_runtime;

inline runtime& rt() noexcept { return the_runtime.value; }

}  // namespace runnel::sched
