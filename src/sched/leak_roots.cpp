#include "sched/leak_roots.h"

#include <signal.h>

#include <algorithm>

#include "platform/ended_stacks.h"
#include "sched/runtime.h"
#include "sched/timer_callback.h"

namespace runnel::sched {
namespace {

struct extent {
  std::uintptr_t begin;
  std::uintptr_t end;
};

std::uintptr_t number(const void* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }

// Reasons that only another goroutine or thread can end.
bool needs_somebody(wait_reason why) noexcept {
  switch (why) {
    case wait_reason::mutex_lock:
    case wait_reason::shared_mutex_lock:
    case wait_reason::shared_mutex_lock_shared:
    case wait_reason::wait_group_wait:
    case wait_reason::cond_wait:
    case wait_reason::semaphore_acquire:
    case wait_reason::once_call:
    case wait_reason::chan_send:
    case wait_reason::chan_receive:
    case wait_reason::chan_send_nil:
    case wait_reason::chan_receive_nil:
    case wait_reason::select:
    case wait_reason::select_no_cases: return true;
    case wait_reason::none:
    case wait_reason::sleep:
    case wait_reason::blocking:
    case wait_reason::io_wait: return false;
  }
  return false;
}

class root_search {
 public:
  root_search(leak_marking& marking, const leak_scene& scene) noexcept
      : marking_(marking), scene_(scene) {}

  bool run() noexcept {
    forget_the_runtime();
    threads();
    goroutines();
    queues();
    return good_ && memory();
  }

 private:
  template <class Visit>
  void for_each_m(Visit visit) noexcept {
    for (m* each = rt().all_m.load(std::memory_order_acquire); each != nullptr;
         each = each->next_all) {
      visit(*each);
    }
  }
  template <class Visit>
  void for_each_p(Visit visit) noexcept {
    int n = rt().p_made.load(std::memory_order_acquire);
    for (int i = 0; i < n; ++i) visit(*rt().all_p[i].load(std::memory_order_relaxed));
  }

  void forget_the_runtime() noexcept {
    for_each_m([&](m& each) { marking_.never_search(&each); });
    for_each_p([&](p& each) { marking_.never_search(&each); });
    auto unused = [&](const void* block) { marking_.free_record(block); };
    rt().records.for_each_free_locked(unused);
    for_each_p([&](p& each) { each.records.for_each_free(unused); });
  }

  // Registers, and where threads stand. An M in its scheduling loop is nobody.
  void threads() noexcept {
    // First all that stand on a goroutine's stack: from where its frames count.
    int self = platform::thread_id();
    marking_.because(leak_cause::stands, self);
    // The caller has called us: below its stack pointer is nothing of its.
    bool goroutine = marking_.stand_on(scene_.caller->sp, scene_.caller->sp);
    for (std::size_t i = 0; i < scene_.threads->size(); ++i) {
      const platform::stopped_thread& t = (*scene_.threads)[i];
      marking_.because(leak_cause::stands, t.tid);
      if (t.tid != 0 && !in_the_loop(t.sp)) marking_.stand_on(t.sp, t.sp - red_zone);
    }
    marking_.because(leak_cause::registers, self);
    marking_.words(number(scene_.caller), number(scene_.caller + 1),
                   goroutine ? finder::memory : finder::thread);
    for (std::size_t i = 0; i < scene_.threads->size(); ++i) {
      const platform::stopped_thread& t = (*scene_.threads)[i];
      if (t.tid == 0 || in_the_loop(t.sp)) continue;
      goroutine = marking_.stand_on(t.sp, t.sp - red_zone);
      marking_.because(leak_cause::registers, t.tid);
      marking_.word(t.sp, finder::memory);
      marking_.words(t.registers_begin, t.registers_end,
                     goroutine ? finder::memory : finder::thread);
    }
  }
  bool in_the_loop(std::uintptr_t sp) noexcept {
    bool found = rt().sysmon_frames.contain(sp) || rt().reporter_frames.contain(sp);
    for_each_m([&](m& each) { found = found || each.frames.contain(sp); });
    return found;
  }

  void goroutines() noexcept {
    marking_.because(leak_cause::state);
    std::uint32_t epoch = rt().epoch.load(std::memory_order_relaxed);
    rt().gs.for_each([&](g& one) {
      g_state state = one.state.load(std::memory_order_relaxed);
      // Of a run that is over: whoever still computes there has been found on its stack.
      if (one.epoch != epoch || state == g_state::frozen) return;
      if (state == g_state::waiting && needs_somebody(one.reason.load(std::memory_order_relaxed))) {
        good_ = good_ && scene_.waiting->push(&one);
      } else {
        marking_.live(one);
      }
    });
  }

  void queues() noexcept {
    marking_.because(leak_cause::queued);
    auto item = [&](const runnable& one) {
      if (one.fresh) {
        marking_.queued(static_cast<const task&>(one));
      } else {
        marking_.live(static_cast<const g&>(one));
      }
    };
    rt().global.for_each(item);
    for_each_m([&](m& each) {
      if (each.pending != nullptr) item(*each.pending);
    });
    for_each_p([&](p& each) {
      each.queue.for_each(item);
      each.mail.for_each(item);
    });
    marking_.because(leak_cause::timer);
    for_each_p([&](p& each) {
      each.timers.for_each_locked(
          [&](const poll::timer_node& node) { marking_.word(number(&node), finder::memory); });
      for (timer_callback* it = each.due; it != nullptr; it = it->next_due) {
        marking_.word(number(it), finder::memory);
      }
    });
  }

  // All other memory.
  bool memory() noexcept {
    marking_.because(leak_cause::memory);
    auto leave_out = [&](std::uintptr_t begin, std::uintptr_t end) {
      if (begin < end) good_ = good_ && left_out_.push({begin, end});
    };
    marking_.for_each_range(leave_out);
    leave_out(number(&the_runtime), number(&the_runtime + 1));
    auto frames = [&](const thread_frames& f) { leave_out(number(f.lowest), number(f.end)); };
    for_each_m([&](m& each) { frames(each.frames); });
    frames(rt().sysmon_frames);
    frames(rt().reporter_frames);
    auto own = [&](const void* begin, std::size_t size) {
      leave_out(number(begin), number(begin) + size);
    };
    scene_.mappings->for_each_own(own);
    own(scene_.threads->memory(), scene_.threads->memory_size());
    std::uintptr_t lowest = number(scene_.stack.lowest);
    std::uintptr_t sp = scene_.caller->sp;
    if (sp > lowest && sp < lowest + scene_.stack.size) leave_out(lowest, sp);
    // Other searches have stopped this thread too.
    stack_t signals{};
    if (sigaltstack(nullptr, &signals) == 0 && signals.ss_flags == 0) {
      own(signals.ss_sp, signals.ss_size);
    }
    platform::ended_stacks ended;
    ended.learn(scene_.mappings->all(), rt().reporter_descriptor,
                rt().reporter_tid.load(std::memory_order_relaxed));
    ended.for_each(scene_.mappings->all(), leave_out);
    const platform::mapping* main_stack = nullptr;
    for (const platform::mapping& each : scene_.mappings->all()) {
      if (each.main_stack) main_stack = &each;
    }
    for (std::size_t i = 0; i < scene_.threads->size(); ++i) {
      const platform::stopped_thread& t = (*scene_.threads)[i];
      leave_out(t.signal_stack_begin, t.signal_stack_end);
      // The first thread's stack is all of its mapping: what lies below the stack pointer is old.
      if (main_stack != nullptr && t.sp > main_stack->begin && t.sp < main_stack->end) {
        leave_out(main_stack->begin, t.sp - red_zone);
      }
    }
    if (!good_ || !pages_.valid()) return false;
    join_left_out();
    const extent* next = left_out_.begin();
    for (const platform::mapping& each : scene_.mappings->all()) {
      if (!each.readable || each.device || !(each.writable || each.anonymous)) continue;
      std::uintptr_t at = each.begin;
      while (next != left_out_.end() && next->end <= at) ++next;
      for (; next != left_out_.end() && next->begin < each.end; ++next) {
        if (next->begin > at) search(at, next->begin);
        at = next->end;
        if (at >= each.end) break;
      }
      if (at < each.end) search(at, each.end);
    }
    return good_;
  }

  // In order, and none in another.
  void join_left_out() noexcept {
    std::sort(left_out_.begin(), left_out_.end(),
              [](const extent& a, const extent& b) { return a.begin < b.begin; });
    extent* last = left_out_.begin();
    for (extent& each : left_out_) {
      if (each.begin <= last->end) {
        last->end = std::max(last->end, each.end);
      } else {
        *++last = each;
      }
    }
    left_out_.resize(static_cast<std::size_t>(last + 1 - left_out_.begin()));
  }

  void search(std::uintptr_t begin, std::uintptr_t end) noexcept {
    bool told = pages_.for_each(begin, end, [&](std::uintptr_t from, std::uintptr_t to, auto kind) {
      if (kind == platform::resident_pages::kind::here) {
        marking_.words(from, to, finder::thread);
      } else {
        copied(from, to);
      }
    });
    good_ = good_ && told;
  }

  void copied(std::uintptr_t from, std::uintptr_t to) noexcept {
    constexpr std::size_t page = 4096;
    if (copy_.size() == 0 && !copy_.resize(page)) good_ = false;
    for (; good_ && from < to; from += page - from % page) {
      std::size_t most = std::min<std::size_t>(page - from % page, to - from);
      std::size_t n = platform::read_memory(from, copy_.begin() + from % 8, most);
      marking_.words(number(copy_.begin()), number(copy_.begin()) + n, finder::thread);
    }
  }

  // Below a stack pointer, and still the function's (x86-64).
  static constexpr std::uintptr_t red_zone = 128;

  leak_marking& marking_;
  const leak_scene& scene_;
  platform::resident_pages pages_;
  platform::page_array<extent> left_out_;
  platform::page_array<char> copy_;
  bool good_ = true;
};

}  // namespace

bool mark_roots(leak_marking& marking, const leak_scene& scene) noexcept {
  return root_search(marking, scene).run();
}

}  // namespace runnel::sched
