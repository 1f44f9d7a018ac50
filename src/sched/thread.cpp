#include "sched/thread.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include "base/check.h"
#include "platform/membarrier.h"
#include "platform/thread.h"
#include "platform/tls.h"
#include "sched/idle.h"
#include "sched/runtime.h"
#include "sched/sysmon.h"

namespace runnel::sched {
namespace {

void m_main(void* raw) {
  m* self = static_cast<m*>(raw);
  runtime& r = rt();
  platform::set_tls_m(self);
  self->tid.store(platform::thread_id(), std::memory_order_relaxed);
  self->exceptions = &platform::thread_exception_state();
  auto stack = platform::current_thread_stack();
  self->own.sanitizer.adopt_thread(stack.lowest, stack.size);
  self->frames = {stack.lowest, platform::end_of_first_frame()};
  if (p* first = self->next_p) {
    self->next_p = nullptr;
    own(*self, *first);
    wake_sysmon();
  }
  run_loop(self);
  // A goroutine ended that was locked to this thread: the thread may be in any state, and goes. The M has
  // neither P nor G and is in no list.
  platform::set_tls_m(nullptr);
  self->tid.store(0, std::memory_order_relaxed);  // the kernel may give the number to a stranger
  self->frames = {};
  {
    platform::lock_guard hold(r.lock);
    --r.m_count;
  }
  self->dead.store(true, std::memory_order_release);
}

[[noreturn]] void thread_limit_exceeded(int limit) noexcept {
  char advice[160];
  std::snprintf(advice, sizeof advice,
                "runnel: %d goroutines block their threads at once; raise options.max_threads, or "
                "bound them with a semaphore",
                limit);
  char what[64];
  std::snprintf(what, sizeof what, "program exceeds %d-thread limit", limit);
  base::fatal(advice, what);
}

m* make_m() noexcept {
  runtime& r = rt();
  int number;
  {
    platform::lock_guard hold(r.lock);
    if (r.m_count >= r.m_limit) thread_limit_exceeded(r.m_limit);
    ++r.m_count;
    for (m* old = r.all_m.load(std::memory_order_relaxed); old != nullptr; old = old->next_all) {
      bool dead = true;
      if (old->dead.compare_exchange_strong(dead, false, std::memory_order_acquire)) {
        // Not built anew: others may still be looking at it. It was left as an M without anything.
        old->exit_thread = false;
        return old;
      }
    }
    number = r.m_numbers++;
  }
  m* made = new (std::nothrow) m(number);
  platform::lock_guard hold(r.lock);
  if (made == nullptr) {
    --r.m_count;
    return nullptr;
  }
  made->next_all = r.all_m.load(std::memory_order_relaxed);
  r.all_m.store(made, std::memory_order_release);
  return made;
}

void report_shortage(int error) noexcept {
  runtime& r = rt();
  {
    platform::lock_guard hold(r.lock);
    if (r.thread_shortage_reported) return;
    r.thread_shortage_reported = true;
  }
  char text[256];
  int n =
      std::snprintf(text, sizeof text,
                    "runnel: cannot start a thread (%s); goroutines go on on those there are. See "
                    "RLIMIT_NPROC, kernel.threads-max and the cgroup's pids.max.\n",
                    std::strerror(error));
  base::write_error({text, static_cast<std::size_t>(n > 0 ? n : 0)});
}

}  // namespace

bool start_thread(p* pp, bool spinning) noexcept {
  runtime& r = rt();
  m* made = make_m();
  int error = ENOMEM;
  if (made != nullptr) {
    if (!platform::asymmetric_fences()) made->shake.use_full_fences();
    made->next_p = pp;
    made->spinning = spinning;
    char name[16];
    std::snprintf(name, sizeof name, "runnel-%d", made->number % 100'000);
    error = platform::start_thread(&m_main, made, name);
    if (error == 0) return true;
    made->next_p = nullptr;
    made->spinning = false;
    {
      platform::lock_guard hold(r.lock);
      --r.m_count;
    }
    made->dead.store(true, std::memory_order_release);
  }
  report_shortage(error);
  return false;
}

}  // namespace runnel::sched
