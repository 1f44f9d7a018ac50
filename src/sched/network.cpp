#include "sched/network.h"

#include <algorithm>

#include "sched/idle.h"
#include "sched/switch.h"
#include "sched/thread.h"

namespace runnel::sched {
namespace {

constexpr std::int64_t unwatched_ns = 200'000;
constexpr std::int64_t neglected_ns = 10'000'000;
constexpr std::int64_t spin_ns = 20'000;
constexpr int spins_left_out_max = 255;

// A peer that answers at once does so before the kernel has put this thread to sleep and woken it again, which costs both
// sides more than a short look around. Where nothing came in time, fewer and fewer looks are taken.
bool spin_in_poller(m& self, std::int64_t until, poll::ready_list& ready) noexcept {
  runtime& r = rt();
  if (r.spins_left_out < r.spins_to_leave_out) {
    ++r.spins_left_out;
    return false;
  }
  r.spins_left_out = 0;
  const std::int64_t end = std::min(until, platform::nanotime() + spin_ns);
  do {
    if (r.net.poll(0, ready) != 0) {
      r.spins_to_leave_out = 0;
      return false;
    }
    if (self.parked.take()) return true;
  } while (platform::nanotime() < end);
  r.spins_to_leave_out = std::min(2 * r.spins_to_leave_out + 1, spins_left_out_max);
  return false;
}

}  // namespace

int open_network() noexcept {
  runtime& r = rt();
  if (r.net.is_open()) return 0;
  if (int error = r.net.open()) return error;
  // The sleeper, if there is one, waits on its futex still.
  platform::lock_guard hold(r.lock);
  if (r.sleeper != nullptr) wake(*r.sleeper);
  return 0;
}

void put_ready(m* self, poll::ready_list& ready, announce when) noexcept {
  std::size_t count = ready.size();
  while (poll::ready_node* node = ready.pop_front()) {
    auto& woken = *static_cast<g*>(node->token);
    if (self == nullptr) {
      woken.state.store(g_state::runnable, std::memory_order_relaxed);
      put_global(&woken);
    } else if (is_frozen(woken)) {
      woken.state.store(g_state::frozen, std::memory_order_relaxed);
    } else {
      woken.state.store(g_state::runnable, std::memory_order_relaxed);
      put_local(*self, &woken, false);
    }
  }
  if (self != nullptr && count > (when == announce::always ? 0u : 1u)) notify_work_with_p();
}

std::size_t poll_network(m& self) noexcept {
  if (!rt().awaits_io()) return 0;
  poll::ready_list ready;
  rt().net.poll(0, ready);
  std::size_t count = ready.size();
  put_ready(&self, ready);
  return count;
}

bool sleep_in_poller(m& self, std::int64_t until, poll::ready_list& ready) noexcept {
  // Whoever sees it sees the poller open, too: we may be the first to have used it.
  self.in_poller.store(true, std::memory_order_release);
  base::hardware::fence();
  bool woken = self.parked.take();
  if (!woken) {
    woken = spin_in_poller(self, until, ready);
    if (!woken && ready.size() == 0) rt().net.poll(until, ready);
    woken = woken || self.parked.take();
  }
  self.in_poller.store(false, std::memory_order_relaxed);
  return woken;
}

void watch_network() noexcept {
  runtime& r = rt();
  base::hardware::fence();
  if (!r.awaits_io() || r.gate.idle() == 0) return;
  m* to_wake;
  {
    platform::lock_guard hold(r.lock);
    if (r.sleeper != nullptr) return;
    to_wake = r.idle_ms;
  }
  if (to_wake != nullptr) {
    wake(*to_wake);
  } else {
    start_thread(nullptr, false);
  }
}

void poll_if_neglected(std::int64_t now) noexcept {
  runtime& r = rt();
  if (!r.awaits_io()) return;
  std::int64_t since = now - r.net.last_poll();
  // Who was in the poller has something to do, and mostly is soon back: another M is called only if it is not.
  if (since >= unwatched_ns && r.gate.idle() != 0) watch_network();
  if (since < neglected_ns) return;
  poll::ready_list ready;
  r.net.poll(0, ready);
  put_ready(nullptr, ready);
}

}  // namespace runnel::sched
