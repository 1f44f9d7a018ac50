#pragma once
// Goroutines: starting the runtime, spawning, yielding, blocking.
//
//   int main() {
//     runnel::run([] {
//       runnel::wait_group wg;
//       for (int i = 0; i < 10; ++i) wg.go([i] { work(i); });
//       wg.wait();
//     });
//   }
//
// The semantics are those of Go's `go` statement and of package runtime, where Go has them.

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "runnel/detail/run.h"
#include "runnel/detail/spawn.h"
#include "runnel/goroutine_local.h"

namespace runnel {

// When it is said that all goroutines are asleep.
enum class deadlock_check {
  automatic,  // if the process has no threads but the runtime's and the one in run()
  on,         // also if it has others: they, too, only wait
  off,
};

// How the runtime runs. Every field has a working default.
struct options {
  // Goroutines that run at the same time (GOMAXPROCS). 0: RUNNEL_MAXPROCS if set; otherwise the CPUs of the
  // affinity mask or of the cgroup's quota, whichever is less, and the quota is followed while it changes.
  int max_procs = 0;
  // Bytes of address space that a goroutine's stack may grow into, guard included; rounded up to a power of
  // two, at least 32 KiB. Memory is used as it is touched.
  std::size_t stack_size = 256 << 10;
  // Threads. One more is fatal: "program exceeds N-thread limit".
  int max_threads = 10'000;
  // What to do when no goroutine can ever run again: every one waits for another one, and no timer, blocking() call or
  // thread that waits for something of Runnel's is left that could wake one. Unless off, that is fatal: "all goroutines
  // are asleep - deadlock!", with all their stacks. A program whose own threads feed the goroutines need not say off: such
  // threads are seen.
  deadlock_check deadlock = deadlock_check::automatic;
};

// Starts the runtime if needed and runs f(args...) as the main goroutine. Returns its result; an exception
// that leaves it leaves run. When main returns, the other goroutines stop running for good, wherever they are:
// nothing of theirs is destroyed. A goroutine in user code at that moment stops when it next calls the runtime.
//
// May be called again later. Panics (runtime_error) when called from a goroutine, or while another run is
// under way.
template <class F, class... Args>
auto run(options o, F&& f, Args&&... args)
    -> std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...> {
  detail::main_call<std::decay_t<F>, std::decay_t<Args>...> main(std::forward<F>(f),
                                                                 std::forward<Args>(args)...);
  detail::run_main(o, &decltype(main)::call, &main);
  return main.get();
}

template <class F, class... Args>
  requires(!std::is_same_v<std::decay_t<F>, options>)
auto run(F&& f, Args&&... args) -> std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...> {
  return run(options{}, std::forward<F>(f), std::forward<Args>(args)...);
}

// Starts a goroutine that calls f(args...). The function and its arguments are decay-copied (moved, if
// movable and given as rvalues) before go returns; the result is ignored. An exception that leaves f crashes
// the program. What precedes go happens before f.
//
// Any thread. Outside of run, the goroutine waits for the next run. Throws std::bad_alloc, or what copying
// throws; then no goroutine was started.
template <class F, class... Args>
  requires(!std::is_same_v<std::decay_t<F>, go_options>)
[[gnu::noinline]] void go(F&& f, Args&&... args) {
  detail::spawn(nullptr, __builtin_return_address(0), std::forward<F>(f),
                std::forward<Args>(args)...);
}

template <class F, class... Args>
[[gnu::noinline]] void go(const go_options& o, F&& f, Args&&... args) {
  detail::spawn(&o, __builtin_return_address(0), std::forward<F>(f), std::forward<Args>(args)...);
}

// Lets other goroutines run first, if any are waiting (Gosched). On a plain thread: sched_yield.
void yield();

// Ends the calling goroutine: runs its defers and destructors, then ends it. Cannot be recovered. In the main
// goroutine the others go on, and it is fatal once none is left. Panics on a plain thread.
[[noreturn]] void goexit();

// Calls f, which may stay in the kernel for long (a file, a database library), and returns its result.
// Other goroutines get the processor at once. Costs about as much as two system calls; not needed for
// correctness: a goroutine that blocks unannounced loses its processor after about a millisecond, or, where several do so one after
// the other, after a twentieth of that. It is worth its cost where calls block for long and others wait meanwhile. errno is as f
// left it, even if the goroutine continues on another thread. On a plain thread: calls f.
template <class F>
decltype(auto) blocking(F&& f) {
  detail::blocking_region region;
  return std::forward<F>(f)();
}

// Ties the calling goroutine to its present thread until as many unlock_os_thread calls follow, and the
// thread to it. If the goroutine ends locked, its thread ends too. On a plain thread: nothing.
void lock_os_thread();
void unlock_os_thread();

// GOMAXPROCS. Setting it stops all goroutines for some microseconds; n < 1 only asks. From then on the CPU
// quota is no longer followed. Returns the previous value.
int max_procs();
int max_procs(int n);

// Goroutines that exist: spawned and not ended.
std::size_t num_goroutine();

// CPUs that this process may run on.
int num_cpu();

// For logs; never reused. 0 on a plain thread.
std::uint64_t goroutine_id();

// errno, safe to use after a call that may have moved the goroutine to another thread. The macro errno is not:
// compilers take its address to be constant within a function.
int& errno_ref();

}  // namespace runnel
