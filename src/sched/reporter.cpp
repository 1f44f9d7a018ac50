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
  std::uint64_t asker = 0;                 // the goroutine that wishes it
  const goroutine_sample* only = nullptr;  // instead of all
  bool failed = false;                     // for lack of memory
  platform::parker done{};
  dump_wish* next = nullptr;
};

namespace {

constexpr std::int64_t attention_ns = 1'000'000'000;
constexpr std::int64_t patience_ns = 10'000'000'000;

void answer(const trouble& it, std::uint32_t state) noexcept {
  it.state.store(state, std::memory_order_release);
  platform::futex_wake(it.state);
}

void serve(dump_wish& wish, stack_printer& stacks) {
  dump_options how;
  how.fold = wish.fold;
  how.asker = wish.asker;
  try {
    stacks.begin();
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
    out->flush();
    wish.failed = out->cut();
  } catch (const std::bad_alloc&) {
    wish.failed = true;
  }
  wish.done.unpark();
}

void reporter(void*) {
  runtime& r = rt();
  r.reporter_tid.store(platform::thread_id(), std::memory_order_relaxed);
  r.reporter_descriptor = platform::thread_descriptor();
  r.reporter_frames = {platform::current_thread_stack().lowest, platform::end_of_first_frame()};
  stack_printer stacks(traceback_level() >= traceback::system);
  for (;;) {
    // Who asks once mostly asks again; after a while, the memory is given back.
    std::int64_t until =
        stacks.rests() ? platform::time_never : platform::nanotime() + attention_ns;
    if (!r.reporter_bed.park(until)) {
      stacks.rest();
      continue;
    }
    if (const trouble* it = r.trouble.load(std::memory_order_acquire)) {
      tell(*it);
      answer(*it, trouble::told);
      for (;;) pause();
    }
    // Whoever else reports already will be told of in the next round.
    if (r.quit_wished.load(std::memory_order_relaxed) && base::try_begin_report()) {
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
      serve(one, stacks);
    }
  }
}

void on_quit(int) {
  if (!rt().reporter_started.load(std::memory_order_relaxed)) {
    // A forked child, which has no reporter: what would have happened without us.
    ::signal(SIGQUIT, SIG_DFL);
    raise(SIGQUIT);
    return;
  }
  int error = platform::errno_ref();
  rt().quit_wished.store(true, std::memory_order_relaxed);
  rt().reporter_bed.unpark();
  platform::errno_ref() = error;
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

// False: there was not enough memory.
bool await(dump_wish& mine) noexcept {
  runtime& r = rt();
  if (!r.reporter_started.load(std::memory_order_acquire)) return true;  // no run, no goroutines
  mine.next = r.dump_wishes.load(std::memory_order_relaxed);
  while (!r.dump_wishes.compare_exchange_weak(mine.next, &mine, std::memory_order_release,
                                              std::memory_order_relaxed)) {
  }
  r.reporter_bed.unpark();
  mine.done.park();
  return !mine.failed;
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

bool dump_by_reporter(std::string* to, int fd, bool fold) noexcept {
  dump_wish mine{.to = to, .fd = fd, .fold = fold};
  if (const m* self = current_m()) {
    mine.asker = self->current->id.load(std::memory_order_relaxed);
  }
  return await(mine);
}

bool text_by_reporter(std::string& to, const goroutine_sample& one) noexcept {
  dump_wish mine{.to = &to, .fd = -1, .fold = false, .only = &one};
  return await(mine);
}

void start_reporter() noexcept {
  // A program for which there is no such thread reports on the thread in trouble.
  if (platform::start_thread(&reporter, nullptr, "runnel-report") != 0) return;
  rt().reporter_started.store(true, std::memory_order_release);
  dump_on_quit();
}

void dump_on_quit() noexcept {
  if (!rt().reporter_started.load(std::memory_order_acquire)) return;
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

bool is_dump_on_quit(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == &on_quit;
}

}  // namespace runnel::sched
