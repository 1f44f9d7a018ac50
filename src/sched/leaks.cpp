#include "sched/leaks.h"

#include <string>
#include <vector>

#include "base/check.h"
#include "base/debug_switches.h"
#include "platform/clock.h"
#include "platform/sanitizer.h"
#include "sched/blocking.h"
#include "sched/leak_roots.h"
#include "sched/reporter.h"
#include "sched/runtime.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

// Longer than the slowest thread needs to be given a CPU.
constexpr std::int64_t patience_ns = 5'000'000'000;

// RUNNEL_DEBUG=leak=2
constexpr int tell_what_holds = 2;

void note_stacks(const platform::mapping_list& mappings, const platform::stop_threads& threads,
                 leak_trails& into) noexcept {
  for (std::size_t i = 0; i < threads.size(); ++i) {
    std::uintptr_t sp = threads[i].sp;
    for (const platform::mapping& each : mappings.all()) {
      if (each.begin <= sp && sp < each.end)
        into.stacks.push({threads[i].tid, sp, each.end, threads[i].registers_begin});
    }
  }
}

// What a plain thread may be changing when it is stopped: the queues that are searched.
class held_queues {
 public:
  held_queues() noexcept {
    rt().lock.acquire();
    for_each_heap([](poll::timer_heap& h) { h.guard().acquire(); });
    rt().records.guard().acquire();
  }
  ~held_queues() {
    rt().records.guard().release();
    for_each_heap([](poll::timer_heap& h) { h.guard().release(); });
    rt().lock.release();
  }
  held_queues(const held_queues&) = delete;
  held_queues& operator=(const held_queues&) = delete;

 private:
  template <class Visit>
  void for_each_heap(Visit visit) noexcept {
    int n = rt().p_made.load(std::memory_order_acquire);
    for (int i = 0; i < n; ++i) visit(rt().all_p[i].load(std::memory_order_relaxed)->timers);
  }
};

}  // namespace

void leak_search::hold() noexcept { stop_the_world(); }
void leak_search::let_go() noexcept { resume_the_world(); }

bool leak_search::search(const platform::registers& caller, platform::page_array<g*>& leaked) {
  if (platform::has_asan || platform::has_tsan) {
    why_not_ = "the sanitizer's allocator does not tell where its memory is";
    return false;
  }
  if (!rt().active.load(std::memory_order_acquire)) return true;
  leak_trails trails;
  bool tell = base::debug_switch("leak") >= tell_what_holds;
  {
    held_queues hold_them;
    if (!search_standing(caller, leaked, tell ? &trails : nullptr)) return false;
  }
  print_trails(trails);
  return true;
}

bool leak_search::search_standing(const platform::registers& caller,
                                  platform::page_array<g*>& leaked, leak_trails* trails) noexcept {
  platform::stack_bounds stack = platform::current_thread_stack();
  platform::stop_threads threads;
  if (!threads.stop(platform::nanotime() + patience_ns)) {
    why_not_ = "a thread does not answer to SIGURG";
    silent_thread_ = threads.unanswered();
    return false;
  }
  why_not_ = "no memory for the search, or /proc cannot be read";
  platform::mapping_list mappings;
  leak_marking marking;
  if (trails != nullptr) marking.keep_trail();
  if (!mappings.read() || !marking.prepare(mappings.all())) return false;
  leak_scene scene{&mappings, &threads, &caller, stack, &leaked};
  if (!mark_roots(marking, scene) || !marking.finish()) return false;
  std::size_t kept = 0;
  for (g* one : leaked) {
    if (!marking.is_live(*one)) {
      leaked[kept++] = one;
    } else if (trails != nullptr) {
      std::size_t first = trails->steps.size();
      if (!marking.trail_to(*one, trails->steps) ||
          !trails->trails.push({one, first, trails->steps.size()})) {
        return false;
      }
    }
  }
  if (trails != nullptr) note_stacks(mappings, threads, *trails);
  leaked.resize(kept);
  return true;
}

void report_leaks_at_exit() noexcept {
  constexpr std::size_t shown_max = 1000;
  std::string text;
  try {
    std::vector<goroutine_sample> samples;
    std::size_t count = 0;
    leak_search search;
    platform::registers here = platform::registers_here();
    begin_blocking();
    bool known = search.run(here, [&](const goroutine_sample& one) {
      if (++count <= shown_max) samples.push_back(one);
    });
    if (!known) {
      text = std::string("runnel: leaked goroutines are not known: ") + search.why_not();
      if (int tid = search.silent_thread()) text += " (thread " + std::to_string(tid) + ')';
      text += '\n';
    } else if (count != 0) {
      text = "runnel: " + std::to_string(count) + (count == 1 ? " goroutine" : " goroutines") +
             " leaked: " + (count == 1 ? "it waits" : "they wait") +
             " for what nobody can reach any more\n";
      for (const goroutine_sample& one : samples) {
        text += '\n';
        text_by_reporter(text, one);
      }
      if (count > samples.size()) {
        text += "\nand " + std::to_string(count - samples.size()) + " more\n";
      }
    }
  } catch (const std::bad_alloc&) {
    text.clear();
    base::write_error("runnel: out of memory for the report of leaked goroutines\n");
  }
  end_blocking();
  base::write_error(text);
}

}  // namespace runnel::sched
