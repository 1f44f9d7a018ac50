// Who listens for signals. Catching them is sched/signal_catcher.h.
//
// One thread passes them on: it sleeps at the catcher's bell, and lives for ever. It is no goroutine's business, for there may
// be no run. It alone takes listeners out of the list, and gives whoever called stop an answer once it has done so.
//
// Invariants
//   signals_awaited  ==  somebody listens, or waits for an answer to stop
//   a signal is in the mask of a listener that is not leaving  =>  the catcher has taken it
// The lock protects the catcher, putting into the list, and taking out of it. The thread reads the list without it: new ones
// come at the front. Who holds it is in the runtime, so that no end of a run stops it there, and neither allocates nor calls
// anything of the program.

#include "runnel/signal.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <system_error>
#include <vector>

#include "platform/lock.h"
#include "platform/thread.h"
#include "runnel/panic.h"
#include "sched/signal_catcher.h"
#include "sched/switch.h"

namespace runnel::signal {
namespace {

using sched::rt;
using sched::signal_bit;
using sched::signal_catcher;
using sched::signals_max;

struct listener {
  send_chan<int> to;  // nil: the context instead
  context ctx;
  std::atomic<std::uint64_t> mask{0};
  std::atomic<bool> leaving{false};  // set under the lock
  bool goes = false;                 // the thread's
  std::atomic<listener*> next{nullptr};

  bool is(const send_chan<int>& channel) const noexcept { return channel && to == channel; }
  void tell(int signal) const;
};

// Of somebody who waits for listeners to leave.
struct farewell {
  chan<unit> done = make_chan<unit>(1);
  farewell* next = nullptr;
};

struct listeners {
  signal_catcher& catcher = signal_catcher::instance();
  platform::lock lock;
  bool thread_started = false;
  std::atomic<listener*> first{nullptr};
  std::atomic<farewell*> farewells{nullptr};
};

listeners& instance() {
  std::atomic<void*>& place = rt().signal_listeners;
  void* found = place.load(std::memory_order_acquire);
  if (found != nullptr) return *static_cast<listeners*>(found);
  auto made = std::make_unique<listeners>();
  if (place.compare_exchange_strong(found, made.get(), std::memory_order_acq_rel)) {
    return *made.release();
  }
  return *static_cast<listeners*>(found);
}

class hold_listeners {
 public:
  explicit hold_listeners(listeners& all) noexcept : self_(sched::enter()), lock_(all.lock) {
    lock_.acquire();
  }
  ~hold_listeners() {
    lock_.release();
    if (self_ != nullptr) sched::leave(self_);
  }
  hold_listeners(const hold_listeners&) = delete;
  hold_listeners& operator=(const hold_listeners&) = delete;

 private:
  sched::m* self_;
  platform::lock& lock_;
};

std::uint64_t mask_of(std::initializer_list<int> signals) noexcept {
  if (signals.size() == 0) return ~std::uint64_t{0};
  std::uint64_t mask = 0;
  for (int s : signals) {
    if (s >= 1 && s <= signals_max) mask |= signal_bit(s);
  }
  return mask;
}

template <class F>
void for_each_signal(std::uint64_t mask, F f) {
  for (int s = 1; s <= signals_max; ++s) {
    if ((mask & signal_bit(s)) != 0) f(s);
  }
}

// What somebody listens for who is not leaving.
std::uint64_t wanted_locked(const listeners& all) noexcept {
  std::uint64_t mask = 0;
  for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
    if (!l->leaving.load()) mask |= l->mask.load();
  }
  return mask;
}

void listener::tell(int signal) const {
  if (to) {
    to.try_send(signal);
  } else {
    cancel_cause_func cancel(ctx);
    cancel(signal_error(signal));
  }
}

// One who leaves gets what came before, unless the same channel is listening anew.
bool is_told_otherwise(const listeners& all, const listener& leaving, std::uint64_t bit) noexcept {
  for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
    if (l != &leaving && !l->leaving.load() && l->is(leaving.to) && (l->mask.load() & bit) != 0) {
      return true;
    }
  }
  return false;
}

void pass_on(listeners& all, std::uint64_t pending) {
  for_each_signal(pending, [&](int s) {
    for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
      if ((l->mask.load() & signal_bit(s)) == 0) continue;
      if (l->leaving.load() && is_told_otherwise(all, *l, signal_bit(s))) continue;
      l->tell(s);
    }
  });
}

// Those who were leaving when the thread looked.
void take_out_gone(listeners& all) {
  listener* gone = nullptr;
  {
    hold_listeners hold(all);
    std::atomic<listener*>* link = &all.first;
    while (listener* l = link->load()) {
      if (l->goes) {
        link->store(l->next.load());
        l->next.store(gone);
        gone = l;
      } else {
        link = &l->next;
      }
    }
  }
  while (gone != nullptr) {
    listener* l = gone;
    gone = l->next.load();
    delete l;
  }
}

void note_awaited_locked(const listeners& all) noexcept {
  rt().signals_awaited.store(wanted_locked(all) != 0 || all.farewells.load() != nullptr,
                             std::memory_order_relaxed);
}

void serve(listeners& all) {
  farewell* waiting = all.farewells.exchange(nullptr);
  if (waiting == nullptr) return pass_on(all, all.catcher.take_pending());
  for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
    l->goes = l->leaving.load();
  }
  all.catcher.settle();
  pass_on(all, all.catcher.take_pending());
  take_out_gone(all);
  while (waiting != nullptr) {
    std::unique_ptr<farewell> one(waiting);
    waiting = one->next;
    one->done.send(unit{});
  }
  // Last: until then those who waited for the answer might seem to wait for ever.
  hold_listeners hold(all);
  note_awaited_locked(all);
}

void run_thread(void* argument) {
  auto& all = *static_cast<listeners*>(argument);
  rt().signal_tid.store(platform::thread_id(), std::memory_order_relaxed);
  for (;;) {
    all.catcher.wait();
    serve(all);
  }
}

bool on_our_thread() noexcept {
  return rt().signal_tid.load(std::memory_order_relaxed) == platform::thread_id();
}

void start_thread(listeners& all) {
  int error = 0;
  {
    hold_listeners hold(all);
    if (all.thread_started) return;
    all.thread_started = true;
  }
  error = platform::start_thread(&run_thread, &all, "runnel-signal");
  if (error == 0) return;
  {
    hold_listeners hold(all);
    all.thread_started = false;
  }
  throw std::system_error(error, std::generic_category(), "signal::notify: no thread");
}

// Puts it into the list, or its signals into that of `same`.
template <class Same>
void listen(std::unique_ptr<listener> made, std::uint64_t mask, Same same) {
  listeners& all = instance();
  start_thread(all);
  hold_listeners hold(all);
  std::uint64_t taken = wanted_locked(all);
  for_each_signal(mask & ~taken, [&](int s) {
    if (!all.catcher.take(s)) mask &= ~signal_bit(s);
  });
  for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
    if (l->leaving.load() || !same(*l)) continue;
    l->mask.fetch_or(mask);
    return note_awaited_locked(all);
  }
  made->mask.store(mask);
  made->next.store(all.first.load());
  all.first.store(made.release());
  note_awaited_locked(all);
}

template <class Same>
void leave(Same same) {
  if (rt().signal_listeners.load(std::memory_order_acquire) == nullptr) return;
  listeners& all = instance();
  auto wish = std::make_unique<farewell>();
  chan<unit> done = wish->done;
  // From a stop callback, that is, out of pass_on: nothing more will be sent, and the list waits.
  bool ours = on_our_thread();
  {
    hold_listeners hold(all);
    bool found = false;
    std::uint64_t before = wanted_locked(all);
    for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
      if (!same(*l)) continue;
      found = true;
      l->leaving.store(true);
      if (ours) l->mask.store(0);
    }
    if (!found) return;
    for_each_signal(before & ~wanted_locked(all), [&](int s) { all.catcher.give_back(s); });
    farewell* mine = wish.release();
    mine->next = all.farewells.load();
    while (!all.farewells.compare_exchange_weak(mine->next, mine)) {
    }
    note_awaited_locked(all);
  }
  all.catcher.ring();
  if (!ours) done.recv();
}

// Takes the signals from everybody.
template <class Then>
void take_from_all(std::initializer_list<int> signals, Then then) {
  listeners& all = instance();
  std::uint64_t mask = mask_of(signals);
  hold_listeners hold(all);
  for (listener* l = all.first.load(); l != nullptr; l = l->next.load()) {
    l->mask.fetch_and(~mask);
    if (l->mask.load() == 0) l->leaving.store(true);
  }
  for_each_signal(mask, [&](int s) { then(all.catcher, s); });
  note_awaited_locked(all);
}

}  // namespace

void notify(const send_chan<int>& to, std::initializer_list<int> signals) {
  if (to.is_nil()) throw runtime_error("signal::notify using nil channel");
  auto made = std::make_unique<listener>();
  made->to = to;
  listen(std::move(made), mask_of(signals), [&](const listener& l) { return l.is(to); });
}

void stop(const send_chan<int>& to) {
  if (to.is_nil()) return;
  leave([&](const listener& l) { return l.is(to); });
}

void ignore(std::initializer_list<int> signals) {
  take_from_all(signals, [](signal_catcher& catcher, int s) { catcher.ignore(s); });
}

void reset(std::initializer_list<int> signals) {
  take_from_all(signals, [](signal_catcher& catcher, int s) { catcher.give_back(s); });
}

bool ignored(int signal) noexcept {
  if (signal < 1 || signal > signals_max) return false;
  const signal_catcher* catcher = rt().signals.load(std::memory_order_acquire);
  if (catcher != nullptr && catcher->ignores(signal)) return true;
  struct sigaction now{};
  return sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
         now.sa_handler == SIG_IGN;
}

notified_context notify_context(const context& parent, std::initializer_list<int> signals) {
  auto made = std::make_unique<listener>();
  notified_context result(with_cancel_cause(parent).ctx);
  made->ctx = result;
  listen(std::move(made), mask_of(signals), [](const listener&) { return false; });
  return result;
}

void notified_context::stop() const {
  cancel_func cancel(*this);
  cancel();
  leave([this](const listener& l) { return l.ctx.node() != nullptr && l.ctx == *this; });
}

std::string name(int signal) {
  static constexpr std::array names{
      "hangup",
      "interrupt",
      "quit",
      "illegal instruction",
      "trace/breakpoint trap",
      "aborted",
      "bus error",
      "floating point exception",
      "killed",
      "user defined signal 1",
      "segmentation fault",
      "user defined signal 2",
      "broken pipe",
      "alarm clock",
      "terminated",
      "stack fault",
      "child exited",
      "continued",
      "stopped (signal)",
      "stopped",
      "stopped (tty input)",
      "stopped (tty output)",
      "urgent I/O condition",
      "CPU time limit exceeded",
      "file size limit exceeded",
      "virtual timer expired",
      "profiling timer expired",
      "window changed",
      "I/O possible",
      "power failure",
      "bad system call",
  };
  if (signal >= 1 && static_cast<std::size_t>(signal) <= names.size()) {
    return names[static_cast<std::size_t>(signal - 1)];
  }
  return "signal " + std::to_string(signal);
}

}  // namespace runnel::signal
