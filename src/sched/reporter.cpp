#include "sched/reporter.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <optional>

#include "base/check.h"
#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "sched/switch.h"
#include "sched/traceback.h"

namespace runnel::sched {

struct dump_wish {
  std::string* to;
  int fd;
  bool fold;
  const goroutine_sample* only = nullptr;  // instead of all
  platform::parker done{};
  dump_wish* next = nullptr;
};

namespace {

constexpr std::int64_t patience_ns = 10'000'000'000;

void answer(const trouble& it, std::uint32_t state) noexcept {
  it.state.store(state, std::memory_order_release);
  platform::futex_wake(it.state);
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
    if (const trouble* it = r.trouble.load(std::memory_order_acquire)) {
      tell(*it);
      answer(*it, trouble::told);
      for (;;) pause();
    }
    if (r.quit_wished.load(std::memory_order_relaxed)) {
      base::begin_report();
      base::write_error("SIGQUIT: quit\n");
      incident quit;
      quit.everybody = true;
      tell(trouble(quit));
      end_process(quit.signal);
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

// Returns how the report went. It may take its time as long as it gets on, or the reader of our output does not.
std::uint32_t wait_for_report(const trouble& mine) noexcept {
  runtime& r = rt();
  std::uint64_t seen = 0;
  for (;;) {
    std::int64_t deadline = platform::nanotime() + patience_ns;
    for (bool late = false; !late;) {
      if (std::uint32_t state = mine.state.load(std::memory_order_acquire)) return state;
      late = !platform::futex_wait(mine.state, trouble::under_way, deadline);
    }
    std::uint64_t progress = r.report_progress.load(std::memory_order_relaxed);
    if (progress == seen && !base::output_waits()) return trouble::failed;
    seen = progress;
  }
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
  trouble mine(what);
  bool started = r.reporter_started.load(std::memory_order_acquire) &&
                 mine.tid != r.reporter_tid.load(std::memory_order_relaxed);
  if (traceback_level() == traceback::none) {
    // That was all.
  } else if (started) {
    r.trouble.store(&mine, std::memory_order_release);
    r.reporter_bed.unpark();
    if (wait_for_report(mine) == trouble::failed) tell_bare(mine);
  } else if (what.from == platform::walk_from::instruction) {
    tell_bare(mine);  // a signal's stack is too small for more
  } else {
    tell(mine);
  }
  end_process(what.signal);
}

void give_report_up() noexcept {
  runtime& r = rt();
  const trouble* it = r.trouble.load(std::memory_order_relaxed);
  if (it == nullptr || platform::thread_id() != r.reporter_tid.load(std::memory_order_relaxed))
    return;
  answer(*it, trouble::failed);
  for (;;) pause();
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
