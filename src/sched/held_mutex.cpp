// The pthread functions that lock and unlock a mutex, put before the C library's, and what they note: which goroutine
// has locked which mutex, and where. A program's calls, libstdc++'s and those of other libraries come here, the C library's
// own do not.
//
// Invariants
//   a goroutine has a mutex and is not about to unlock it  <=>  there is a note of both; unless the goroutine is frozen
//   a note is made after the mutex is locked, and taken back before it is unlocked  =>  one note a mutex
//   held.count of a goroutine  >=  notes with its number; more only where a plain thread has unlocked its mutex
// A bucket's notes belong to who has its lock. Nothing is called with it held. Notes come from pages of their own,
// not from malloc, which may be the program's and lock.

#include "sched/held_mutex.h"

#if RUNNEL_ASSERTIONS && !defined(RUNNEL_HAS_ASAN) && !defined(RUNNEL_HAS_TSAN)

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "base/spin_lock.h"
#include "base/text_writer.h"
#include "sched/own_stack.h"
#include "sched/reporter.h"
#include "sched/stack_printer.h"
#include "sched/survey.h"
#include "sched/switch.h"
#include "sched/traceback.h"

extern "C" {
[[gnu::weak]] int __pthread_mutex_lock(pthread_mutex_t*);
[[gnu::weak]] int __pthread_mutex_trylock(pthread_mutex_t*);
[[gnu::weak]] int __pthread_mutex_timedlock(pthread_mutex_t*, const timespec*);
[[gnu::weak]] int __pthread_mutex_clocklock(pthread_mutex_t*, clockid_t, const timespec*);
[[gnu::weak]] int __pthread_mutex_unlock(pthread_mutex_t*);
[[gnu::weak]] int __pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*);
[[gnu::weak]] int __pthread_cond_timedwait(pthread_cond_t*, pthread_mutex_t*, const timespec*);
[[gnu::weak]] int __pthread_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t,
                                           const timespec*);
}

namespace runnel::sched {
namespace {

constexpr int frames_max = 24;

struct call_stack {
  int count = 0;
  void* frames[frames_max];

  std::span<void* const> calls() const noexcept {
    return {frames, static_cast<std::size_t>(count)};
  }
};

struct note {
  note* next = nullptr;
  const pthread_mutex_t* mutex = nullptr;
  std::uint64_t owner = 0;  // the goroutine's number
  int depth = 0;            // of a recursive mutex
  call_stack where;         // it was locked first
};

class guard {
 public:
  explicit guard(base::spin_lock& l) noexcept : lock_(l) { lock_.acquire(); }
  ~guard() { lock_.release(); }
  guard(const guard&) = delete;
  guard& operator=(const guard&) = delete;

 private:
  base::spin_lock& lock_;
};

class alignas(64) bucket {
 public:
  void add(const pthread_mutex_t* mutex, g& me, const call_stack& where, int depth = 1) noexcept {
    guard hold(lock_);
    const std::uint64_t owner = me.id.load(std::memory_order_relaxed);
    note* found = *find_locked(mutex);
    if (found != nullptr && found->owner == owner) {
      found->depth += depth;
      return;
    }
    // What is there of another goroutine was left behind by a frozen one.
    if (found == nullptr && (found = new_locked()) == nullptr) return;
    found->mutex = mutex;
    found->owner = owner;
    found->depth = depth;
    found->where = where;
    ++me.held.count;
  }

  enum class outcome : std::uint8_t { not_there, other_goroutines, removed, still_held };

  // `me`: nullptr on a plain thread, which may unlock anything. What there was is copied to `was`, unless nothing.
  // `wholly`: as often as it is locked.
  outcome remove(const pthread_mutex_t* mutex, g* me, note& was, bool wholly = false) noexcept {
    if (first_.load(std::memory_order_relaxed) == nullptr) return outcome::not_there;
    guard hold(lock_);
    note** place = find_locked(mutex);
    note* found = *place;
    if (found == nullptr) return outcome::not_there;
    was = *found;
    if (me != nullptr) {
      if (found->owner != me->id.load(std::memory_order_relaxed)) return outcome::other_goroutines;
      if (!wholly && --found->depth > 0) return outcome::still_held;
      --me->held.count;
    }
    if (place == &head_) {
      head_ = found->next;
      first_.store(head_, std::memory_order_relaxed);
    } else {
      *place = found->next;
    }
    found->next = free_;
    free_ = found;
    return outcome::removed;
  }

  bool find_owned_by(std::uint64_t owner, note& into) noexcept {
    guard hold(lock_);
    for (note* each = head_; each != nullptr; each = each->next) {
      if (each->owner != owner) continue;
      into = *each;
      return true;
    }
    return false;
  }

 private:
  // The place of what points to its note, or to nullptr.
  note** find_locked(const pthread_mutex_t* mutex) noexcept {
    note** place = &head_;
    while (*place != nullptr && (*place)->mutex != mutex) place = &(*place)->next;
    return place;
  }

  note* new_locked() noexcept {
    if (free_ == nullptr) {
      constexpr std::size_t size = 4096;
      void* memory =
          mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) return nullptr;
      auto* fresh = static_cast<note*>(memory);
      for (std::size_t i = 0; i < size / sizeof(note); ++i) {
        note* each = new (fresh + i) note;
        each->next = free_;
        free_ = each;
      }
    }
    note* made = free_;
    free_ = made->next;
    made->next = head_;
    head_ = made;
    first_.store(made, std::memory_order_relaxed);
    return made;
  }

  base::spin_lock lock_;
  std::atomic<const note*> first_{nullptr};  // head_, to see without the lock that nothing is there
  note* head_ = nullptr;
  note* free_ = nullptr;
};

constinit bucket buckets[256];

bucket& bucket_of(const pthread_mutex_t* mutex) noexcept {
  auto address = reinterpret_cast<std::uintptr_t>(mutex);
  return buckets[(address * 0x9e3779b97f4a7c15ull) >> 56];
}

// --- the report ---

// After the stack of the goroutine that does wrong: where it, or another, has locked the mutex.
void print_mutex(base::text_writer& out, const void* about) {
  const note& held = *static_cast<const note*>(about);
  platform::symbolizer symbols;
  // The symbolizer looks at what lies before a return address.
  auto inside = reinterpret_cast<std::uintptr_t>(held.mutex) + 1;
  out << "\nstd::mutex ";
  if (std::string name = symbols.locate(reinterpret_cast<void*>(inside)).front().function;
      !name.empty()) {
    out << name << " at ";
  }
  out.hex(held.mutex) << " was locked by goroutine " << held.owner << ":\n";
  stack_printer stacks(traceback_level() >= traceback::system);
  stacks.print(out, held.where.calls());
}

// From the call that returns to `from`.
void capture(call_stack& into, void* from) noexcept {
  constexpr int ours = 4;  // more calls than lie between
  void* frames[frames_max + ours];
  int count = capture_own_stack(frames, frames_max + ours);
  auto* first = std::find(frames, frames + std::min(count, ours), from);
  if (first == frames + std::min(count, ours)) first = frames;
  into.count = std::min(static_cast<int>(frames + count - first), frames_max);
  std::copy_n(first, into.count, into.frames);
}

// `now`: the stack of what is wrong; nullptr: it is the caller's.
[[noreturn]] void report(g& me, const note& held, const call_stack* now, std::string_view advice,
                         std::string_view what, std::string_view more = {}) noexcept {
  me.held.busy = true;
  base::begin_report();
  {
    base::text_writer out(STDERR_FILENO);
    out << "runnel: " << advice << "\nfatal error: " << what << more << '\n';
  }
  incident wrong;
  wrong.at = platform::registers_here();
  if (now != nullptr) wrong.frames = now->calls();
  wrong.everybody = true;
  wrong.epilogue = &print_mutex;
  wrong.about = &held;
  tell_and_exit(wrong);
}

}  // namespace

[[gnu::noinline]] void refuse_held_mutexes(g& me, held_when when) noexcept {
  if (when != held_when::ends && me.lock_count != 0) return;
  note held;
  const std::uint64_t id = me.id.load(std::memory_order_relaxed);
  if (std::ranges::none_of(buckets, [&](bucket& b) { return b.find_owned_by(id, held); })) {
    me.held.count = 0;  // others have unlocked what it had locked
    return;
  }
  constexpr const char* unlock_before =
      "unlock a std::mutex before a call that waits, or use runnel::mutex: the thread goes on with "
      "other goroutines, which may want it, too";
  switch (when) {
    case held_when::waits: {
      std::string why = std::string(" [") +
                        state_text(g_state::waiting, me.reason.load(std::memory_order_relaxed)) +
                        "]";
      report(me, held, nullptr, unlock_before, "std::mutex held while its goroutine waits", why);
    }
    case held_when::yields:
      report(me, held, nullptr, unlock_before, "std::mutex held while its goroutine yields");
    case held_when::ends: {
      call_stack now{1, {__builtin_return_address(0)}};  // nothing else is left
      report(me, held, &now,
             "unlock a std::mutex before the goroutine ends, by a std::lock_guard: nobody else may "
             "unlock it",
             "std::mutex held by a goroutine that has ended");
    }
  }
  __builtin_unreachable();
}

namespace {

// --- what stands before the C library's functions ---

// Found when it is first called, which may be before main and before any constructor of ours. dlsym itself takes no
// mutex this way. In a program that is linked statically there is nothing to be found by dlsym, and the C library's own
// name of the function serves.
template <class... Args>
class next_function {
 public:
  using function = int(Args...);
  constexpr next_function(const char* name, function* own_name) noexcept
      : name_(name), own_name_(own_name) {}
  int operator()(Args... args) {
    function* f = known_.load(std::memory_order_relaxed);
    if (f == nullptr) {
      f = reinterpret_cast<function*>(dlsym(RTLD_NEXT, name_));
      if (f == nullptr) f = own_name_;
      base::check(f != nullptr, "a pthread function is not there");
      known_.store(f, std::memory_order_relaxed);
    }
    return f(args...);
  }

 private:
  const char* const name_;
  function* const own_name_;
  std::atomic<function*> known_{nullptr};
};

constinit next_function next_lock("pthread_mutex_lock", &__pthread_mutex_lock);
constinit next_function next_trylock("pthread_mutex_trylock", &__pthread_mutex_trylock);
constinit next_function next_timedlock("pthread_mutex_timedlock", &__pthread_mutex_timedlock);
constinit next_function next_clocklock("pthread_mutex_clocklock", &__pthread_mutex_clocklock);
constinit next_function next_unlock("pthread_mutex_unlock", &__pthread_mutex_unlock);
constinit next_function next_cond_wait("pthread_cond_wait", &__pthread_cond_wait);
constinit next_function next_cond_timedwait("pthread_cond_timedwait", &__pthread_cond_timedwait);
constinit next_function next_cond_clockwait("pthread_cond_clockwait", &__pthread_cond_clockwait);

// nullptr: a plain thread, or an M in its scheduling loop.
g* current_g() noexcept {
  m* self = current_m();
  return self != nullptr ? self->current : nullptr;
}

// After a fork, a bucket's lock may have stayed with a thread that is not there any more.
bool forked() noexcept { return rt().forked.load(std::memory_order_relaxed); }

// Where the lock is taken is found out before: it takes the dynamic linker's lock in older C libraries.
template <class Next>
[[gnu::always_inline]] inline int lock_noted(pthread_mutex_t* mutex, void* from,
                                             Next next) noexcept {
  g* me = current_g();
  if (me == nullptr || me->held.busy || forked()) return next();
  me->held.busy = true;
  call_stack where;
  capture(where, from);
  int result = next();
  if (result == 0 || result == EOWNERDEAD) bucket_of(mutex).add(mutex, *me, where);
  me->held.busy = false;
  return result;
}

// Blocks the thread, not the goroutine; others may lock the mutex meanwhile.
template <class Next>
int cond_wait_noted(pthread_mutex_t* mutex, Next next) {
  g* me = current_g();
  if (me == nullptr || me->held.busy || forked()) return next();
  note was;
  auto outcome = bucket_of(mutex).remove(mutex, me, was, true);
  int result = next();
  if (outcome == bucket::outcome::removed) bucket_of(mutex).add(mutex, *me, was.where, was.depth);
  return result;
}

int unlock_noted(pthread_mutex_t* mutex, void* from) noexcept {
  g* me = current_g();
  if ((me != nullptr && me->held.busy) || forked()) return next_unlock(mutex);
  note was;
  auto outcome = bucket_of(mutex).remove(mutex, me, was);
  if (outcome == bucket::outcome::other_goroutines) {
    call_stack now;
    capture(now, from);
    report(*me, was, &now,
           "only the goroutine that has locked a std::mutex may unlock it; to wait for another "
           "one, use a channel",
           "std::mutex unlocked by another goroutine");
  }
  int result = next_unlock(mutex);
  if (result == EPERM && me != nullptr && outcome != bucket::outcome::not_there) {
    call_stack now;
    capture(now, from);
    report(*me, was, &now,
           "a recursive mutex belongs to a thread, and after a call of Runnel's its goroutine may "
           "be on another: "
           "use runnel::mutex",
           "recursive mutex unlocked on another thread than it was locked on");
  }
  return result;
}

}  // namespace
}  // namespace runnel::sched

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using namespace runnel::sched;
  return lock_noted(mutex, __builtin_return_address(0), [=] { return next_lock(mutex); });
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  using namespace runnel::sched;
  return lock_noted(mutex, __builtin_return_address(0), [=] { return next_trylock(mutex); });
}
int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) noexcept {
  using namespace runnel::sched;
  return lock_noted(mutex, __builtin_return_address(0),
                    [=] { return next_timedlock(mutex, until); });
}
int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                            const timespec* until) noexcept {
  using namespace runnel::sched;
  return lock_noted(mutex, __builtin_return_address(0),
                    [=] { return next_clocklock(mutex, clock, until); });
}
int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  return runnel::sched::unlock_noted(mutex, __builtin_return_address(0));
}

// These are cancellation points: an exception may pass.
int pthread_cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex) {
  using namespace runnel::sched;
  return cond_wait_noted(mutex, [=] { return next_cond_wait(cond, mutex); });
}
int pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex, const timespec* until) {
  using namespace runnel::sched;
  return cond_wait_noted(mutex, [=] { return next_cond_timedwait(cond, mutex, until); });
}
int pthread_cond_clockwait(pthread_cond_t* cond, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  using namespace runnel::sched;
  return cond_wait_noted(mutex, [=] { return next_cond_clockwait(cond, mutex, clock, until); });
}

}  // extern "C"

#endif
