// Hazard pointers, with all of the cost on the side of those who reclaim.
//
//      reader                                reclaimer
//      held := p                             unlink p
//      light fence                           heavy fence (membarrier)
//      p still linked?  read it              p in no record?  free it
//
// Invariants
//   by the fences, the reader sees p unlinked or the reclaimer sees p held, or both
//   a record is in one place: a thread's cache, the list of free ones, or with its holder
//   a record is never freed         =>  the list of all is only pushed to, and read without a lock
//   a record was handed out         =>  the process is registered with membarrier, or the record says full_fences
//   full_fences                     =>  the reader makes the full fence itself
// Pairings
//   a record's release (announce, ~hazard_guard)  ->  the reclaimer's acquire: what the reader read through p is
//   read before p is freed. If the reclaimer sees an older value than p, the reader will not read p at all.
//
// A record is not the thread's but the reader's: the user's code that a reader calls (comparing, copying) may park
// its goroutine, which is then continued on another thread. It keeps alive what it holds, and nothing else; one
// frozen at the end of a run keeps that for ever. Epochs would stop all reclaiming in either case.
//
// The cache is per thread, not per P: nobody but us can run on our thread between two calls of the runtime, so that
// it takes no entry into the runtime. It is reached in functions that neither switch nor are inlined.

#include "runnel/detail/hazard.h"

#include <algorithm>
#include <mutex>

#include "base/sync_policy.h"
#include "platform/lock.h"
#include "platform/membarrier.h"

namespace runnel::detail {
namespace {

constinit std::atomic<hazard_record*> all_records{nullptr};
constinit platform::lock free_lock;  // held for some instructions, never over a call of the runtime
constinit hazard_record* free_records = nullptr;

constexpr int cached_max = 8;

struct cache_of_thread {
  hazard_record* records[cached_max];
  int count;
  int room;     // cached_max, once the cache is to be emptied when the thread ends
  bool closed;  // the thread is ending
};

[[gnu::tls_model("initial-exec")]] constinit thread_local cache_of_thread cache{};

void give_back(hazard_record* r) noexcept {
  platform::lock_guard hold(free_lock);
  r->next_free = free_records;
  free_records = r;
}

struct cache_closer {
  bool armed = false;
  ~cache_closer() {
    cache.closed = true;
    cache.room = 0;
    while (cache.count != 0) give_back(cache.records[--cache.count]);
  }
};
thread_local cache_closer closer;

void open_cache() noexcept {
  if (cache.room != 0 || cache.closed) return;
  closer.armed = true;
  cache.room = cached_max;
}

hazard_record* new_record() {
  static std::once_flag registered;
  std::call_once(registered, [] {
    if (!platform::asymmetric_fences()) platform::register_membarrier();
  });
  auto* r = new hazard_record;
  r->full_fences = !platform::asymmetric_fences();
  hazard_record* head = all_records.load(std::memory_order_relaxed);
  do r->next_all = head;
  while (!all_records.compare_exchange_weak(head, r, std::memory_order_release,
                                            std::memory_order_relaxed));
  return r;
}

[[gnu::noinline]] hazard_record* take_slow() {
  {
    platform::lock_guard hold(free_lock);
    if (hazard_record* r = free_records) {
      free_records = r->next_free;
      return r;
    }
  }
  return new_record();
}

[[gnu::noinline]] void give_slow(hazard_record* r) noexcept {
  open_cache();
  if (cache.count < cache.room) {
    cache.records[cache.count++] = r;
  } else {
    give_back(r);
  }
}

}  // namespace

[[gnu::noinline]] hazard_record* take_hazard() {
  asm volatile("" ::: "memory");
  cache_of_thread& mine = cache;
  if (mine.count != 0) [[likely]]
    return mine.records[--mine.count];
  return take_slow();
}

[[gnu::noinline]] void give_hazard(hazard_record* r) noexcept {
  asm volatile("" ::: "memory");
  cache_of_thread& mine = cache;
  if (mine.count < mine.room) [[likely]]
    mine.records[mine.count++] = r;
  else
    give_slow(r);
}

void full_fence() noexcept { base::hardware::fence(); }

std::vector<const void*> held_hazards() {
  base::hardware::heavy_fence();
  std::vector<const void*> held;
  for (hazard_record* r = all_records.load(std::memory_order_acquire); r != nullptr;
       r = r->next_all) {
    for (auto& one : r->held) {
      if (const void* p = one.load(std::memory_order_acquire)) held.push_back(p);
    }
  }
  std::sort(held.begin(), held.end());
  return held;
}

}  // namespace runnel::detail
