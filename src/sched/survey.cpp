#include "sched/survey.h"

#include <algorithm>
#include <cstring>

#include "base/sync_policy.h"
#include "platform/clock.h"
#include "sched/careful_walk.h"
#include "sched/switch.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

constexpr std::int64_t stop_ns_max = 250'000;
constexpr std::size_t looks_max = 4096;  // at slots, in one stop

const char* text_of(g_state state) noexcept {
  switch (state) {
    case g_state::idle: return "idle";
    case g_state::runnable: return "runnable";
    case g_state::running: return "running";
    case g_state::waiting: return "waiting";
    case g_state::frozen: return "frozen";
  }
  return "?";
}

const char* text_of(wait_reason reason) noexcept {
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
    case wait_reason::io_wait: return "IO wait";
  }
  return "?";
}

void copy_name(const task* work, goroutine_sample& into) noexcept {
  if (work == nullptr || work->name == nullptr) return;
  std::strncpy(into.name, work->name, goroutine_sample::name_max);
}

void note_origin(const task* work, goroutine_sample& into) noexcept {
  if (work == nullptr) return;
  into.creator = work->creator;
  into.creator_pc = work->creator_pc;
}

void note_wait(const g& one, goroutine_sample& into) noexcept {
  std::uint32_t now = rt().seconds.load(std::memory_order_relaxed);
  auto exact = static_cast<std::uint32_t>(platform::nanotime() / 1'000'000'000);
  now = std::max(now, exact);
  const std::uint32_t since = one.waited_since();
  into.waited_s = since == 0 ? 0 : now - std::min(now, since);
}

void describe(const g& one, g_state state, goroutine_sample& into) noexcept {
  wait_reason reason = one.reason.load(std::memory_order_relaxed);
  into.id = one.id.load(std::memory_order_relaxed);
  into.state = state_text(state, reason);
  into.locked = one.locked_m != nullptr;
  note_origin(one.work, into);
  copy_name(one.work, into);
  if (state == g_state::waiting || reason == wait_reason::blocking) note_wait(one, into);
}

void walk(const platform::registers& at, platform::walk_from from,
          goroutine_sample& into) noexcept {
  auto all = static_cast<std::size_t>(
      walk_carefully_ends(at, from, into.frames, int{goroutine_sample::frames_max}));
  into.frame_count = std::min(all, goroutine_sample::frames_max);
  into.elided = all - into.frame_count;
}

}  // namespace

void take_parked(const g& one, goroutine_sample& into) noexcept {
  into = goroutine_sample{};
  describe(one, one.state.load(std::memory_order_acquire), into);
  walk(platform::registers_of_context(one.context.sp), platform::walk_from::call, into);
}

const char* state_text(g_state state, wait_reason reason) noexcept {
  bool says_more = state == g_state::waiting || reason == wait_reason::blocking;
  return says_more ? text_of(reason) : text_of(state);
}

survey::survey(survey_kind kind) : kind_(kind), interrupter_(kind == survey_kind::last) {
  batch_.resize(batch_max);
}

std::span<goroutine_sample> survey::next() {
  if (!begun_) {
    begun_ = true;
    collect_not_begun();
    if (!not_begun_.empty()) return not_begun_;
  }
  count_ = 0;
  if (kind_ == survey_kind::last) {
    collect_batch();
  } else {
    // A batch without a goroutine is not the end: the slots looked at may all have been idle.
    do {
      stop_the_world();
      collect_batch();
      resume_the_world();
    } while (count_ == 0 && !at_end_);
  }
  return {batch_.data(), count_};
}

// In two steps: nothing is allocated while the world stands still.
void survey::collect_not_begun() {
  not_begun_.resize(not_begun_max);
  std::size_t count = 0;
  runtime& r = rt();
  auto visit = [&](const runnable& one) {
    if (!one.fresh) return;
    if (count == not_begun_max) {
      ++more_not_begun_;
      return;
    }
    const auto& work = static_cast<const task&>(one);
    goroutine_sample& into = not_begun_[count++];
    into.id = work.id;
    into.state = "runnable";
    into.no_stack = "it has not begun";
    copy_name(&work, into);
    note_origin(&work, into);
  };
  if (kind_ == survey_kind::passing) {
    stop_the_world();
    platform::lock_guard hold(r.lock);  // plain threads add to it
    r.global.for_each(visit);
  } else {
    r.global.for_each(visit);
  }
  int n = r.p_made.load(std::memory_order_acquire);
  for (int i = 0; i < n; ++i) {
    const p& pp = *r.all_p[i].load(std::memory_order_relaxed);
    if (const runnable* first = pp.queue.look_next()) visit(*first);
    std::uint32_t queued = std::min<std::uint32_t>(pp.queue.size(), 256);
    for (std::uint32_t at = 0; at < queued; ++at) {
      if (const runnable* one = pp.queue.peek(at)) visit(*one);
    }
    pp.mail.for_each(visit);
  }
  if (kind_ == survey_kind::passing) resume_the_world();
  not_begun_.resize(count);
  std::ranges::sort(not_begun_, {}, &goroutine_sample::id);
}

// Before it began.
bool survey::was_shown(std::uint64_t id) const noexcept {
  return std::ranges::binary_search(not_begun_, id, {}, &goroutine_sample::id);
}

void survey::collect_batch() noexcept {
  runtime& r = rt();
  std::uint32_t epoch = current_epoch();
  std::int64_t end = platform::nanotime() + stop_ns_max;
  std::size_t looks = kind_ == survey_kind::last ? SIZE_MAX : looks_max;
  while (count_ < batch_.size()) {
    g* one = r.gs.next(at_, looks);
    if (one == nullptr) {
      at_end_ = looks != 0;
      return;
    }
    if (one->epoch != epoch) continue;
    goroutine_sample& into = batch_[count_];
    into = goroutine_sample{};
    take(*one, into);
    if (into.id != 0) ++count_;
    if (kind_ == survey_kind::passing && platform::nanotime() >= end) return;
  }
}

void survey::take(g& one, goroutine_sample& into) noexcept {
  g_state state = one.state.load(std::memory_order_acquire);
  if (state == g_state::idle || state == g_state::frozen) return;
  if (was_shown(one.id.load(std::memory_order_relaxed))) return;
  describe(one, state, into);
  if (state == g_state::running) {
    take_running(one, into);
    return;
  }
  walk(platform::registers_of_context(one.context.sp), platform::walk_from::call, into);
}

// Who is on its way back to the runtime without a P is queued in a moment, and then looked at like others.
void survey::take_running(g& one, goroutine_sample& into) noexcept {
  constexpr int looks_at_mover = 2000;
  for (int i = 0; i < looks_at_mover; ++i) {
    if (take_on_thread(one, into)) return;
    g_state state = one.state.load(std::memory_order_acquire);
    if (state != g_state::running) {
      into.state = state_text(state, wait_reason::none);
      into.waited_s = 0;
      into.no_stack = nullptr;
      walk(platform::registers_of_context(one.context.sp), platform::walk_from::call, into);
      return;
    }
    base::hardware::pause();
  }
}

// False: no thread runs it just now.
bool survey::take_on_thread(g& one, goroutine_sample& into) noexcept {
  into.no_stack = "it begins, ends or moves just now";
  for (m* each = rt().all_m.load(std::memory_order_acquire); each != nullptr;
       each = each->next_all) {
    if (each->look_at_current() != &one) continue;
    if (each->shake.where() == zone::blocking) {
      into.no_stack = nullptr;
      walk(each->blocked_at, platform::walk_from::call, into);
      return true;
    }
    if (!interrupter_.stop(*each, into.no_stack)) return true;
    bool found = each->interrupted.on == &one;
    if (found) {
      into.no_stack = nullptr;
      walk(each->interrupted.at, each->interrupted.from, into);
    }
    interrupter_.let_go(*each);
    return found;
  }
  return false;
}

void print_header(base::text_writer& out, const goroutine_sample& one) {
  out << "goroutine " << one.id << ' ';
  if (one.name[0] != '\0') out << '"' << one.name << "\" ";
  out << '[' << one.state;
  if (std::uint32_t minutes = one.waited_s / 60) out << ", " << minutes << " minutes";
  if (one.locked) out << ", locked to thread";
  out << "]:\n";
}

}  // namespace runnel::sched
