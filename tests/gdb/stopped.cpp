// What gdb_test.py looks at: a program in a known state, stopped in stop_here. One goroutine for every way to
// wait, one in the kernel, one that has not begun; one of each kind of object, in states that printers tell apart.
//
// There is one P, and main has it from before the last go until the stop: with the world held nobody can take it.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "platform/clock.h"
#include "runnel/runnel.h"
#include "sched/runtime.h"
#include "sched/switch.h"

using namespace std::chrono_literals;
using runnel::sched::wait_reason;

struct objects {
  runnel::chan<int> nil;
  runnel::chan<int> empty = runnel::make_chan<int>(3);
  runnel::chan<int> buffered = runnel::make_chan<int>(3);
  runnel::chan<std::string> full = runnel::make_chan<std::string>(1);
  runnel::chan<int> closed = runnel::make_chan<int>(2);
  runnel::recv_chan<int> receives = buffered;
  runnel::chan<int>& reference = buffered;
  runnel::mutex free_lock;
  runnel::mutex lock;
  runnel::shared_mutex free_rw;
  runnel::shared_mutex read_rw;
  runnel::shared_mutex written_rw;
  runnel::wait_group idle_group;
  runnel::wait_group group;
  runnel::once fresh_once;
  runnel::once done_once;
  runnel::semaphore units{3};
  runnel::timer timer{1h};
  runnel::timer stopped_timer{1h};
  runnel::ticker ticker{1h};
  runnel::context background;
  runnel::cancellable<runnel::cancel_func> active = runnel::with_cancel({});
  runnel::cancellable<runnel::cancel_func> cancelled = runnel::with_cancel({});
  runnel::cancellable<runnel::cancel_cause_func> caused = runnel::with_cancel_cause({});
  runnel::cancellable<runnel::cancel_func> late = runnel::with_timeout({}, 1h);
  runnel::cancellable<runnel::cancel_func> too_late = runnel::with_timeout({}, -1s);
  runnel::context child = runnel::with_cancel(caused.ctx).ctx;
};

static objects* all;
static int pipe_ends[2];

extern "C" [[gnu::noinline]] void stop_here() { asm volatile("" ::: "memory"); }

// After each call something is left to do, so that none becomes a jump.
static void keep(int& x) { asm volatile("" : "+m"(x)); }

[[gnu::noinline]] static int inner(int depth) {
  int local = depth * 14;
  keep(local);
  auto got = all->empty.recv();  // line of inner
  keep(local);
  return got.value_or(0) + local;
}
[[gnu::noinline]] static int middle(int depth) {
  int result = inner(depth + 1);  // line of middle
  keep(result);
  return result;
}
[[gnu::noinline]] static void outer() {
  int result = middle(2);  // line of outer
  keep(result);
}

[[gnu::noinline]] static void wait_in_kernel() {
  int count = runnel::blocking([] {
    char byte;
    return static_cast<int>(read(pipe_ends[0], &byte, 1));
  });  // line of wait_in_kernel
  keep(count);
}

// Returns when f waits, for that reason; one with a name as if it had waited for long.
template <class F>
[[gnu::noinline]] static void start(wait_reason why, const char* name, F f) {
  auto place = std::make_shared<std::atomic<runnel::sched::g*>>(nullptr);
  runnel::go({.name = name}, [place, f] {  // line of start
    *place = runnel::sched::current_m()->current;
    f();
  });
  for (;;) {
    runnel::sched::g* who = *place;
    if (who != nullptr && who->reason == why) {
      // Sysmon may not have looked at the clock yet, and a core file knows no other.
      auto now = static_cast<std::uint32_t>(runnel::platform::nanotime() / 1'000'000'000);
      runnel::sched::rt().seconds = now;
      who->waiting_since = name[0] != '\0' ? now - 200 : now;
      return;
    }
    runnel::yield();
  }
}

[[gnu::noinline]] static void begin_later() { std::abort(); }

static void work() {
  objects o;
  all = &o;
  o.buffered.send(7);
  o.full.send("first");
  o.closed.send(9);
  o.closed.close();
  o.lock.lock();
  o.read_rw.lock_shared();
  o.written_rw.lock();
  o.group.add(2);
  o.done_once.call([] {});
  o.units.acquire(2);
  o.stopped_timer.stop();
  o.cancelled.cancel();
  o.caused.cancel(std::runtime_error("out of tea"));

  start(wait_reason::chan_receive, "collector", [] { outer(); });
  start(wait_reason::chan_receive, "", [] { all->empty.recv(); });
  start(wait_reason::chan_send, "", [] { all->full.send("second"); });
  start(wait_reason::chan_receive_nil, "", [] { all->nil.recv(); });
  start(wait_reason::select, "", [] {
    runnel::select(runnel::recv(all->empty), runnel::send(all->full, std::string("third")));
  });
  start(wait_reason::mutex_lock, "", [] { std::lock_guard hold(all->lock); });
  start(wait_reason::shared_mutex_lock, "", [] { std::lock_guard hold(all->read_rw); });
  start(wait_reason::shared_mutex_lock_shared, "", [] { all->written_rw.lock_shared(); });
  start(wait_reason::wait_group_wait, "", [] { all->group.wait(); });
  start(wait_reason::semaphore_acquire, "", [] { all->units.acquire(2); });
  start(wait_reason::sleep, "", [] { runnel::sleep(1h); });
  start(wait_reason::blocking, "", [] { wait_in_kernel(); });

  runnel::platform::lock_guard hold(runnel::sched::rt().world);
  runnel::go({.name = "later"}, begin_later);  // line of go
  stop_here();                                 // line of work
  std::_Exit(0);
}

int main(int argc, char** argv) {
  if (pipe(pipe_ends) != 0) return 1;
  // Of a run that is over: never to be seen.
  runnel::run({.max_procs = 1}, [] {
    start(wait_reason::chan_receive, "left behind", [] { runnel::make_chan<int>().recv(); });
  });
  // To see how long gdb takes; the test asks for none.
  int many = argc > 1 ? std::atoi(argv[1]) : 0;
  runnel::run({.max_procs = 1}, [many] {
    for (int i = 0; i < many; ++i) {
      start(wait_reason::chan_receive, "", [] { runnel::make_chan<int>().recv(); });
    }
    work();
  });
}
