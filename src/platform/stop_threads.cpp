#include "platform/stop_threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/keep_errno.h"
#include "platform/thread.h"

namespace runnel::platform {
namespace {

constexpr int stop_signal = SIGURG;
constexpr std::size_t threads_max = 1 << 18;
constexpr std::int64_t look_ns = 10'000'000;

// What a handler can find, and how many threads are in it. The first is set while threads are stopped only; it may be used
// by whoever has counted himself in before.
constinit std::atomic<stop_threads*> active{nullptr};
constinit std::atomic<std::uint32_t> inside{0};

// Calls visit(tid) for every thread of the process. readdir would allocate.
template <class Visit>
bool for_each_thread(Visit visit) noexcept {
  int dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return false;
  struct entry {
    std::uint64_t inode;
    std::int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[1];
  };
  alignas(entry) char buffer[2048];
  long n;
  while ((n = syscall(SYS_getdents64, dir, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < n;) {
      auto* e = reinterpret_cast<const entry*>(buffer + at);
      std::string_view name(e->name);
      int tid = 0;
      std::from_chars(name.data(), name.data() + name.size(), tid);
      if (tid != 0) visit(tid);
      at += e->length;
    }
  }
  close(dir);
  return n == 0;
}

// A thread that has ended and is still listed, as the first one is when it ends by itself.
bool is_zombie(int tid) noexcept {
  char path[48], text[128];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT;
  ssize_t n = read(file, text, sizeof text - 1);
  close(file);
  if (n <= 0) return errno == ESRCH;
  text[n] = '\0';
  const char* end = std::strrchr(text, ')');
  return end != nullptr && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

std::uintptr_t stack_pointer_of(const ucontext_t& c) noexcept {
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(c.uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
  return c.uc_mcontext.sp;
#endif
}

}  // namespace

stop_threads::seat* stop_threads::seat_of(int tid) noexcept {
  std::size_t n = taken_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < n; ++i) {
    if (std::atomic_ref(seats_[i].thread.tid).load(std::memory_order_relaxed) == tid)
      return &seats_[i];
  }
  return nullptr;
}

// The kernel has put the registers into the frame that `context` is part of, which ends below the interrupted
// stack pointer, or, on a stack of the signal's own, with that stack.
void stop_threads::answer_and_wait(seat& mine, const void* context) noexcept {
  const auto& c = *static_cast<const ucontext_t*>(context);
  auto frame = reinterpret_cast<std::uintptr_t>(context);
  auto alternate = reinterpret_cast<std::uintptr_t>(c.uc_stack.ss_sp);
  mine.thread.sp = stack_pointer_of(c);
  mine.thread.signal_stack_begin = alternate;
  mine.thread.signal_stack_end = alternate + c.uc_stack.ss_size;
  mine.thread.registers_begin = frame;
  mine.thread.registers_end = frame - alternate < c.uc_stack.ss_size
                                  ? mine.thread.signal_stack_end
                                  : std::max(mine.thread.sp, frame + sizeof(ucontext_t));
  std::atomic_ref(mine.state).store(answer::stopped, std::memory_order_release);
  answers_.fetch_add(1, std::memory_order_release);
  futex_wake(answers_);
  while (going_on_.load(std::memory_order_acquire) == 0) futex_wait(going_on_, 0);
}

void stop_threads::on_signal(int number, siginfo_t* info, void* context) noexcept {
  keep_errno keep;
  inside.fetch_add(1, std::memory_order_seq_cst);
  if (stop_threads* owner = active.load(std::memory_order_seq_cst)) {
    seat* mine = owner->seat_of(thread_id());
    bool ours = mine != nullptr &&
                std::atomic_ref(mine->state).load(std::memory_order_relaxed) == answer::none;
    if (ours) owner->answer_and_wait(*mine, context);
    // Somebody else's, that came in between.
    if (!ours || info->si_code != SI_TKILL) {
      const struct sigaction& theirs = owner->before_;
      if ((theirs.sa_flags & SA_SIGINFO) != 0) {
        theirs.sa_sigaction(number, info, context);
      } else if (theirs.sa_handler != SIG_DFL && theirs.sa_handler != SIG_IGN) {
        theirs.sa_handler(number);
      }
    }
  }
  if (inside.fetch_sub(1, std::memory_order_seq_cst) == 1) futex_wake(inside);
}

bool stop_threads::signal_new_threads(bool& found) noexcept {
  int self = thread_id(), process = getpid();
  found = false;
  bool room = true;
  bool listed = for_each_thread([&](int tid) {
    if (tid == self || seat_of(tid) != nullptr) return;
    if (seats_.size() == threads_max) {
      room = false;
      return;
    }
    seats_.push({{.tid = tid}, answer::none});
    taken_.store(seats_.size(), std::memory_order_release);
    found = true;
    syscall(SYS_tgkill, process, tid, stop_signal);
  });
  return listed && room;
}

bool stop_threads::note_gone(seat& s) noexcept {
  if (!is_zombie(s.thread.tid)) return false;
  std::atomic_ref(s.state).store(answer::gone, std::memory_order_relaxed);
  // The kernel may give the number to another thread.
  std::atomic_ref(s.thread.tid).store(0, std::memory_order_relaxed);
  return true;
}

bool stop_threads::wait_for_answers(std::int64_t deadline) noexcept {
  for (;;) {
    std::uint32_t seen = answers_.load(std::memory_order_acquire);
    std::int64_t now = nanotime();
    bool all = true;
    for (seat& s : seats_) {
      if (std::atomic_ref(s.state).load(std::memory_order_acquire) != answer::none) continue;
      all = false;
      unanswered_ = s.thread.tid;
      break;
    }
    if (all) return true;
    if (now >= deadline) return false;
    if (futex_wait(answers_, seen, std::min(deadline, now + look_ns))) continue;
    for (seat& s : seats_) {
      if (std::atomic_ref(s.state).load(std::memory_order_acquire) == answer::none) note_gone(s);
    }
  }
}

bool stop_threads::stop(std::int64_t deadline) noexcept {
  if (!seats_.reserve(threads_max)) return false;
  struct sigaction mine{};
  mine.sa_sigaction = &on_signal;
  // On the thread's signal stack if it has one: a goroutine's may be nearly used up.
  mine.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&mine.sa_mask);
  going_on_.store(0, std::memory_order_relaxed);
  if (sigaction(stop_signal, nullptr, &before_) != 0) return false;
  active.store(this, std::memory_order_seq_cst);
  installed_ = sigaction(stop_signal, &mine, nullptr) == 0;
  // Until a look finds nobody new: whoever could have started a thread has been stopped by then.
  bool found = true;
  bool good = installed_;
  while (good && found) good = signal_new_threads(found) && wait_for_answers(deadline);
  if (!good) resume();
  return good;
}

void stop_threads::resume() noexcept {
  if (active.load(std::memory_order_relaxed) != this) return;
  struct sigaction now{};
  bool ours = installed_ && sigaction(stop_signal, nullptr, &now) == 0 &&
              (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == &on_signal;
  if (ours) sigaction(stop_signal, &before_, nullptr);
  installed_ = false;
  active.store(nullptr, std::memory_order_seq_cst);
  going_on_.store(1, std::memory_order_release);
  futex_wake(going_on_, static_cast<int>(threads_max));
  while (std::uint32_t n = inside.load(std::memory_order_seq_cst)) futex_wait(inside, n);
}

}  // namespace runnel::platform
