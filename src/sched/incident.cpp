#include "sched/incident.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "platform/address_space.h"
#include "platform/fault.h"
#include "platform/mapped_file.h"
#include "platform/thread.h"
#include "sched/careful_walk.h"
#include "sched/dump.h"
#include "sched/lifecycle.h"
#include "sched/switch.h"
#include "sched/traceback.h"
#include "sched/world.h"

namespace runnel::sched {
namespace {

constexpr std::int64_t fold_above = 100;  // goroutines
constexpr int frames_most = 1 << 20;  // an endless recursion shows what it is at its other end too
constexpr std::size_t bare_frames_most = 64;

// The goroutine it happened to, if that has not ended: its panic may have gone on to the thread in run().
const g* goroutine_of(const trouble& it) noexcept {
  const g* one = it.goroutine;
  if (one == nullptr || it.what.goroutine == 0) return one;
  return one->id.load(std::memory_order_relaxed) == it.what.goroutine ? one : nullptr;
}

void print_owner(base::text_writer& out, const trouble& it) noexcept {
  const g* one = goroutine_of(it);
  std::uint64_t id = one != nullptr ? one->id.load(std::memory_order_relaxed) : it.what.goroutine;
  out << '\n';
  if (id == 0) {
    out << "thread " << it.tid << " [running]:\n";
    return;
  }
  out << "goroutine " << id;
  if (one != nullptr && one->work != nullptr && one->work->name != nullptr) {
    out << " \"" << one->work->name << '"';
  }
  out << (one != nullptr && one->locked_m != nullptr ? " [running, locked to thread]:\n"
                                                     : " [running]:\n");
}

std::span<void* const> walk(const trouble& it) noexcept {
  static void* few[256];  // used once: the process ends
  // Committed as it is filled.
  auto** frames =
      static_cast<void**>(platform::reserve(sizeof(void*) * frames_most, platform::page_size()));
  int most = frames != nullptr ? frames_most : static_cast<int>(std::size(few));
  if (frames == nullptr) frames = few;
  it.found.store(frames, std::memory_order_release);
  int n = walk_carefully(it.what.at, it.what.from, frames, most);
  return {frames, static_cast<std::size_t>(n)};
}

void print_stack(base::text_writer& out, stack_printer& stacks, const trouble& it) {
  print_owner(out, it);
  if (!it.what.frames.empty()) {
    stacks.print(out, it.what.frames);
  } else {
    std::span<void* const> all = walk(it);
    stacks.print(out, it.what.thrown ? stacks.below_the_throw(all) : all);
  }
  const g* one = goroutine_of(it);
  const task* work = one != nullptr ? one->work : nullptr;
  if (work != nullptr && work->creator_pc != nullptr) {
    stacks.print_creator(out, work->creator, work->creator_pc);
  }
}

void print_bare(base::text_writer& out, void* frame) noexcept {
  (out << '\t').hex(frame);
  platform::mapped_file file;
  auto address = reinterpret_cast<std::uintptr_t>(frame);
  if (platform::find_mapped_file(address, file)) {
    (out << ' ' << file.path.data() << '+').hex(file.offset);
  }
  out << '\n';
  out.flush();
}

bool of_the_runtime(int tid) noexcept {
  return tid == rt().reporter_tid.load(std::memory_order_relaxed) ||
         tid == rt().sysmon_tid.load(std::memory_order_relaxed);
}

}  // namespace

trouble::trouble(const incident& happened) noexcept
    : what(happened),
      thread(current_m()),
      goroutine(thread != nullptr ? thread->current : nullptr),
      tid(platform::thread_id()) {}

void tell(const trouble& it) noexcept {
  traceback level = traceback_level();
  if (level == traceback::none) return;
  base::text_writer out(STDERR_FILENO);
  bool running =
      rt().active.load(std::memory_order_acquire) && !rt().forked.load(std::memory_order_relaxed);
  if (running) stop_for_report(it.thread);
  stack_printer stacks(level >= traceback::system);
  bool somebody = it.goroutine != nullptr || !of_the_runtime(it.tid);
  if (somebody) print_stack(out, stacks, it);
  if (it.what.epilogue != nullptr) it.what.epilogue(out, it.what.about);
  out.flush();
  if (running && (it.what.everybody || level >= traceback::all)) {
    dump_options how;
    how.kind = survey_kind::last;
    how.fold = count_goroutines() > fold_above;
    if (it.goroutine != nullptr) how.without = it.goroutine->id.load(std::memory_order_relaxed);
    dump_goroutines(out, stacks, how);
  }
}

void tell_bare(const trouble& it) noexcept {
  if (traceback_level() == traceback::none) return;
  base::text_writer out(STDERR_FILENO);
  out << "\nrunnel: the report does not get on: a lock is held that it needs, or memory is "
         "damaged; bare addresses:\n";
  // What is certain comes first: to walk a damaged stack may be the end.
  if (it.what.epilogue != nullptr) it.what.epilogue(out, it.what.about);
  print_owner(out, it);
  out.flush();
  if (!it.what.frames.empty()) {
    for (void* frame : it.what.frames) print_bare(out, frame);
    return;
  }
  void* frames[bare_frames_most] = {};
  void** found = it.found.load(std::memory_order_acquire);
  if (found != nullptr && found[0] != nullptr) {
    std::copy_n(found, bare_frames_most, frames);
  } else {
    platform::walk_stack(it.what.at, it.what.from, frames, int{bare_frames_most});
  }
  for (void* frame : frames) {
    if (frame == nullptr) break;
    print_bare(out, frame);
  }
}

void end_process(int signal) noexcept {
  if (traceback_level() == traceback::crash) platform::die_by_signal(signal);
  _exit(2);
}

}  // namespace runnel::sched
