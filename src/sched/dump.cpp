#include "sched/dump.h"

#include <cstdio>

#include "base/check.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

const char* to_string(g_state state) noexcept {
  switch (state) {
    case g_state::idle: return "idle";
    case g_state::runnable: return "runnable";
    case g_state::running: return "running";
    case g_state::waiting: return "waiting";
    case g_state::frozen: return "frozen";
  }
  return "?";
}

void print_header(std::uint64_t id, const char* state) noexcept {
  char line[96];
  int n = std::snprintf(line, sizeof line, "\ngoroutine %llu [%s]:\n",
                        static_cast<unsigned long long>(id), state);
  if (n > 0) base::write_error({line, static_cast<std::size_t>(n)});
}

}  // namespace

const char* to_string(wait_reason reason) noexcept {
  switch (reason) {
    case wait_reason::none: return "waiting";
    case wait_reason::sleep: return "sleep";
    case wait_reason::mutex_lock: return "sync.Mutex.Lock";
    case wait_reason::shared_mutex_lock: return "sync.RWMutex.Lock";
    case wait_reason::shared_mutex_lock_shared: return "sync.RWMutex.RLock";
    case wait_reason::cond_wait: return "sync.Cond.Wait";
    case wait_reason::semaphore_acquire: return "semacquire";
    case wait_reason::once_call: return "sync.Once.Do";
    case wait_reason::chan_send: return "chan send";
    case wait_reason::chan_receive: return "chan receive";
    case wait_reason::chan_send_nil: return "chan send (nil chan)";
    case wait_reason::chan_receive_nil: return "chan receive (nil chan)";
    case wait_reason::select: return "select";
    case wait_reason::select_no_cases: return "select (no cases)";
    case wait_reason::wait_group_wait: return "sync.WaitGroup.Wait";
    case wait_reason::blocking: return "blocking";
  }
  return "?";
}

void list_goroutines() noexcept {
  runtime& r = rt();
  std::uint32_t epoch = r.epoch.load(std::memory_order_relaxed);
  r.gs.for_each([epoch](g& one) {
    g_state state = one.state.load(std::memory_order_relaxed);
    if (one.epoch != epoch || state == g_state::frozen) return;
    wait_reason reason = one.reason.load(std::memory_order_relaxed);
    print_header(one.id.load(std::memory_order_relaxed),
                 reason == wait_reason::none ? to_string(state) : to_string(reason));
  });
}

}  // namespace runnel::sched
