// The functions of runnel/go.h that are not templates.

#include "runnel/go.h"

#include <sched.h>

#include "base/exception_object.h"
#include "platform/cpu.h"
#include "runnel/panic.h"
#include "sched/blocking.h"
#include "sched/goroutine.h"
#include "sched/lifecycle.h"
#include "sched/locked.h"
#include "sched/switch.h"
#include "sched/world.h"

namespace runnel {

void yield() {
  if (sched::m* self = sched::enter()) {
    sched::leave(sched::yield_now(self));
  } else {
    sched_yield();
  }
}

void goexit() { detail::goexit(); }

void lock_os_thread() { sched::lock_thread(); }
void unlock_os_thread() { sched::unlock_thread(); }

int max_procs() { return sched::current_procs(); }
int max_procs(int n) { return n < 1 ? sched::current_procs() : sched::set_procs(n); }

std::size_t num_goroutine() { return static_cast<std::size_t>(sched::count_goroutines()); }

int num_cpu() { return platform::affinity_cpus(); }

std::uint64_t goroutine_id() {
  sched::m* self = sched::current_m();
  return self == nullptr ? 0 : self->current->id.load(std::memory_order_relaxed);
}

int& errno_ref() { return platform::errno_ref(); }

namespace detail {

void end_blocking() noexcept { sched::end_blocking(); }

void goexit() {
  if (sched::current_m() == nullptr) throw runtime_error("goexit called outside a goroutine");
  throw sched::exit_signal{};
}

bool is_goexit(const std::exception_ptr& e) noexcept {
  return base::exception_as<sched::exit_signal>(e) != nullptr;
}

}  // namespace detail
}  // namespace runnel
