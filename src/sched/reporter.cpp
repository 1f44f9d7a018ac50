#include "sched/reporter.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <optional>

#include "base/check.h"
#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "sched/lifecycle.h"
#include "sched/switch.h"
#include "sched/traceback.h"
#include "sched/world.h"

namespace runnel::sched {

struct dump_wish {
  std::string* to;
  int fd;
  bool fold;
  const goroutine_sample* only = nullptr;  // instead of all
  platform::parker done{};
  dump_wish* next = nullptr;
};

struct who {
  const m* thread;
  const g* goroutine;
  int tid;
};

// What the reporter needs to know of whoever waits for it.
struct trouble {
  incident what;
  who in;
};

namespace {

constexpr std::int64_t patience_ns = 10'000'000'000;
constexpr std::int64_t fold_above = 100;  // goroutines

who current_thread() noexcept {
  const m* self = current_m();
  return {self, self != nullptr ? self->current : nullptr, platform::thread_id()};
}

[[noreturn]] void end_process(traceback level) noexcept {
  if (level == traceback::crash) {
    signal(SIGABRT, SIG_DFL);
    sigset_t abort_only;
    sigemptyset(&abort_only);
    sigaddset(&abort_only, SIGABRT);
    pthread_sigmask(SIG_UNBLOCK, &abort_only, nullptr);
    raise(SIGABRT);
  }
  _exit(2);
}

void print_troubled(base::text_writer& out, stack_printer& stacks, const incident& what,
                    const who& in) {
  const g* one = in.goroutine;
  std::uint64_t id = one != nullptr ? one->id.load(std::memory_order_relaxed) : 0;
  if (what.goroutine != 0 && what.goroutine != id) {
    // It has ended: its panic went on to the thread in run().
    id = what.goroutine;
    one = nullptr;
  }
  out << '\n';
  const task* work = one != nullptr ? one->work : nullptr;
  if (id != 0) {
    goroutine_sample header;
    header.id = id;
    header.state = "running";
    header.locked = one != nullptr && one->locked_m != nullptr;
    if (work != nullptr && work->name != nullptr) {
      out << "goroutine " << id << " \"" << work->name << "\" [running";
      out << (header.locked ? ", locked to thread]:\n" : "]:\n");
    } else {
      print_header(out, header);
    }
  } else {
    out << "thread " << in.tid << " [running]:\n";
  }
  if (!what.frames.empty()) {
    stacks.print(out, what.frames);
  } else {
    constexpr int frames_max =
        4096;  // what a deep recursion looks like at its other end matters too
    static void* frames[frames_max];  // used once: the process ends
    int n = platform::walk_stack(what.at, what.from, frames, frames_max);
    std::span<void* const> all(frames, static_cast<std::size_t>(n));
    stacks.print(out, what.thrown ? stacks.below_the_throw(all) : all);
  }
  if (work != nullptr && work->creator != 0) {
    stacks.print_creator(out, work->creator, work->creator_pc);
  }
}

bool of_the_runtime(int tid) noexcept {
  return tid == rt().reporter_tid.load(std::memory_order_relaxed) ||
         tid == rt().sysmon_tid.load(std::memory_order_relaxed);
}

[[noreturn]] void tell(const incident& what, const who& in) noexcept {
  traceback level = traceback_level();
  if (level == traceback::none) end_process(level);
  base::text_writer out(STDERR_FILENO);
  bool running =
      rt().active.load(std::memory_order_acquire) && !rt().forked.load(std::memory_order_relaxed);
  if (running) stop_for_report(in.thread);
  stack_printer stacks(level >= traceback::system);
  bool somebody = in.goroutine != nullptr || !of_the_runtime(in.tid);
  if (somebody) print_troubled(out, stacks, what, in);
  if (what.epilogue != nullptr) what.epilogue(out, what.about);
  out.flush();
  if (running && (what.everybody || level >= traceback::all)) {
    dump_options how;
    how.kind = survey_kind::last;
    how.fold = count_goroutines() > fold_above;
    if (in.goroutine != nullptr) how.without = in.goroutine->id.load(std::memory_order_relaxed);
    dump_goroutines(out, stacks, how);
  }
  out.flush();
  end_process(level);
}

void serve(dump_wish& wish) {
  dump_options how;
  how.fold = wish.fold;
  {
    stack_printer stacks(traceback_level() >= traceback::system);
    std::optional<base::text_writer> out;
    if (wish.to != nullptr) {
      out.emplace(*wish.to);
    } else {
      out.emplace(wish.fd);
    }
    if (wish.only != nullptr) {
      print_goroutine(*out, stacks, *wish.only);
    } else if (rt().active.load(std::memory_order_acquire)) {
      dump_goroutines(*out, stacks, how);
    }
  }
  wish.done.unpark();
}

void reporter(void*) {
  runtime& r = rt();
  r.reporter_tid.store(platform::thread_id(), std::memory_order_relaxed);
  for (;;) {
    r.reporter_bed.park();
    if (const auto* found = r.trouble.load(std::memory_order_acquire)) {
      tell(found->what, found->in);
    }
    if (r.quit_wished.load(std::memory_order_relaxed)) {
      base::begin_report();
      base::write_error("SIGQUIT: quit\n");
      incident quit;
      quit.everybody = true;
      tell(quit, current_thread());
    }
    dump_wish* wishes = r.dump_wishes.exchange(nullptr, std::memory_order_acquire);
    while (wishes != nullptr) {
      dump_wish& one = *wishes;
      wishes = one.next;
      serve(one);
    }
  }
}

void on_quit(int) {
  rt().quit_wished.store(true, std::memory_order_relaxed);
  rt().reporter_bed.unpark();
}

// As Go: unless the program, or whoever started it, has other plans for the signal.
void answer_sigquit() noexcept {
  struct sigaction now{};
  if (sigaction(SIGQUIT, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 ||
      now.sa_handler != SIG_DFL) {
    return;
  }
  struct sigaction ours{};
  ours.sa_handler = &on_quit;
  ours.sa_flags = SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  sigaction(SIGQUIT, &ours, nullptr);
}

// The reporter does not answer.
[[noreturn]] void tell_bare(const incident& what) noexcept {
  constexpr int frames_max = 64;
  void* frames[frames_max];
  base::text_writer out(STDERR_FILENO);
  out << "\nrunnel: the report does not come; return addresses, innermost first:\n";
  out.flush();
  int n = 0;
  if (what.frames.empty()) n = platform::walk_stack(what.at, what.from, frames, frames_max);
  for (int i = 0; i < n; ++i) out.hex(frames[i]) << '\n';
  for (void* frame : what.frames) out.hex(frame) << '\n';
  out.flush();
  end_process(traceback_level());
}

void await(dump_wish& mine) noexcept {
  runtime& r = rt();
  if (!r.reporter_started.load(std::memory_order_acquire)) return;  // no run, no goroutines
  mine.next = r.dump_wishes.load(std::memory_order_relaxed);
  while (!r.dump_wishes.compare_exchange_weak(mine.next, &mine, std::memory_order_release,
                                              std::memory_order_relaxed)) {
  }
  r.reporter_bed.unpark();
  mine.done.park();
}

}  // namespace

void tell_and_exit(const incident& what) noexcept {
  runtime& r = rt();
  who in = current_thread();
  if (!r.reporter_started.load(std::memory_order_acquire) ||
      in.tid == r.reporter_tid.load(std::memory_order_relaxed)) {
    tell(what, in);
  }
  trouble mine{what, in};
  r.trouble.store(&mine, std::memory_order_release);
  r.reporter_bed.unpark();
  std::atomic<std::uint32_t> bed{0};
  std::int64_t deadline = platform::nanotime() + patience_ns;
  while (platform::nanotime() < deadline) platform::futex_wait(bed, 0, deadline);
  tell_bare(what);
}

void dump_by_reporter(std::string* to, int fd, bool fold) {
  dump_wish mine{to, fd, fold};
  await(mine);
}

void text_by_reporter(std::string& to, const goroutine_sample& one) {
  dump_wish mine{&to, -1, false, &one};
  await(mine);
}

void start_reporter() noexcept {
  // A program for which there is no such thread reports on the thread in trouble.
  if (platform::start_thread(&reporter, nullptr, "runnel-report") != 0) return;
  rt().reporter_started.store(true, std::memory_order_release);
  answer_sigquit();
}

}  // namespace runnel::sched
