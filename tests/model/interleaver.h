#pragma once
// An exhaustive interleaver: runs small concurrent programs along every schedule that matters, and reports the
// first on which something goes wrong. Code that is a template over a policy like base::hardware is tested as it
// is, with model::sync in its place.
//
//   model::result r = model::explore({}, [](model::program& p) {
//     auto& s = p.make<state>();
//     p.thread([&] { … });
//     p.thread([&] { … });
//     p.finally([&] { model::check(s.sum.get() == 2, "both counted"); });
//   });
//   EXPECT_TRUE(r.ok) << r.trace;
//   EXPECT_TRUE(r.complete) << r.trace;
//
// What is modelled
//   TSO      A store (but a sequentially consistent one) goes into its thread's buffer, first in, first out, and
//            reaches memory at any later time. A load takes its thread's own newest buffered store, else memory.
//            Read-modify-writes, failed ones included, sequentially consistent stores and fence() wait until
//            their thread's buffer is empty; heavy_fence() until every thread's is. light_fence() does nothing.
//   Races    Of model::var and of the end of its lifetime, by vector clocks. Happens-before comes from the
//            declared orders alone: release to acquire of the value read, through read-modify-writes (release
//            sequences), through fences by C++'s rules, and from start to threads to finally. So a missing
//            release or acquire is found although TSO would hide it.
//   Futexes  model::bed: the check and falling asleep are one step; wake-ups go to the oldest sleeper; both are
//            full fences, as on the processors we know; neither gives happens-before. A deadline may pass at any
//            time, once asleep.
//   Locks    model::lock, for code whose locking is not what is tested: who wants it goes on when it is free, and never
//            tries in vain. Both are full fences.
//   Spurious wake-ups and failures of compare_exchange_weak, options::max_spurious of them in an execution.
//   Spinning A thread at pause() goes on when something it has read since its last pause() has been overwritten by
//            another thread. Only when nothing else can happen at all do such threads go on regardless, a few times:
//            then a livelock is reported.
//   Deadlock Reported when nobody can go on and somebody sleeps. The end of an execution waits for all buffers.
//
// What is not
//   Load-load, load-store and store-store reordering (aarch64 has them), read-modify-writes that do not act as
//   fences, and a total order of sequentially consistent operations beyond TSO. Nor values out of thin air, nor
//   the lifetime of atomics, but for two things: who destroys one waits until its own buffer is empty, and another
//   thread's store must not be on its way there.
//   A bounded spin that gives up early while the others are slow: see Spinning.
//
// Rules for a program
//   Deterministic: no clock, random number or address decides anything.
//   A thread's locals may be dropped without their destructors being run: they own nothing.
//   An exception must not leave a thread. Loops end, or pause().
//   In set-up and finally, operations act at once and nothing is a race.

#include <atomic>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "model/explorer.h"

namespace runnel::model {

// Tells whether every schedule ends well.
inline result explore(const options& wanted, const program_body& body) {
  return explorer(wanted).explore(body);
}

// The explorer, if the caller runs as a thread of a program.
inline explorer* scheduled() noexcept {
  explorer* e = explorer::current();
  return e != nullptr && e->in_thread() ? e : nullptr;
}

inline void check(bool condition, const char* text) {
  if (condition) return;
  if (explorer::current() == nullptr) std::abort();
  if (!explorer::current()->failed())
    explorer::current()->fail([text] { return std::string(text); });
}

inline bool acquires(std::memory_order order) noexcept {
  return order != std::memory_order_relaxed && order != std::memory_order_release;
}
inline bool releases(std::memory_order order) noexcept {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

// How traces show a value.
template <class T>
std::string shown(const T& value) {
  if constexpr (std::is_pointer_v<T>) {
    return value == nullptr ? "null" : "&" + explorer::current()->place(value);
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    return std::to_string(value);
  } else {
    return "…";
  }
}

template <class T>
class atomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  using order = std::memory_order;

 public:
  constexpr atomic() noexcept : value_() {}
  constexpr atomic(T value) noexcept : value_(value) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  ~atomic() {
    if (explorer* e = scheduled()) e->destroyed(cell_);
  }

  T load(order o = order::seq_cst) const noexcept {
    explorer* e = scheduled();
    if (e == nullptr) return value_;
    e->announce({op_kind::load, &cell_});
    const std::vector<buffered_store>& buffer = e->here().buffer;
    for (auto i = buffer.rbegin(); i != buffer.rend(); ++i) {
      if (i->where != &cell_) continue;
      T own;
      std::memcpy(&own, &i->bits, sizeof own);
      e->here().read.emplace_back(&cell_, cell_.version);
      if (e->tracing()) e->log("load ", e->place(this), " = ", shown(own), " from its own buffer");
      return own;
    }
    observe(*e, o);
    if (e->tracing()) e->log("load ", e->place(this), " = ", shown(value_));
    return value_;
  }

  void store(T value, order o = order::seq_cst) noexcept {
    explorer* e = scheduled();
    if (e == nullptr) {
      value_ = value;
      return;
    }
    if (o == order::seq_cst) {
      e->announce({op_kind::rmw, &cell_});
      cell_.message = {};
      write(*e, value, o);
      if (e->tracing()) e->log("store ", e->place(this), " = ", shown(value), " in memory");
      return;
    }
    e->announce({op_kind::store, &cell_});
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    e->here().buffer.push_back({&cell_, &value_, bits, sizeof value, {}});
    e->here().buffer.back().message = sent(*e, o);
    if (e->tracing()) e->log("store ", e->place(this), " = ", shown(value), " into its buffer");
  }

  T exchange(T value, order o = order::seq_cst) noexcept {
    return modify("exchange", o, [value](T) { return value; });
  }
  T fetch_add(T by, order o = order::seq_cst) noexcept {
    return modify("add", o, [by](T old) { return static_cast<T>(old + by); });
  }
  T fetch_sub(T by, order o = order::seq_cst) noexcept {
    return modify("sub", o, [by](T old) { return static_cast<T>(old - by); });
  }
  T fetch_and(T by, order o = order::seq_cst) noexcept {
    return modify("and", o, [by](T old) { return static_cast<T>(old & by); });
  }
  T fetch_or(T by, order o = order::seq_cst) noexcept {
    return modify("or", o, [by](T old) { return static_cast<T>(old | by); });
  }
  T fetch_xor(T by, order o = order::seq_cst) noexcept {
    return modify("xor", o, [by](T old) { return static_cast<T>(old ^ by); });
  }

  bool compare_exchange_strong(T& expected, T desired, order success, order failure) noexcept {
    return swap_if(false, expected, desired, success, failure);
  }
  bool compare_exchange_strong(T& expected, T desired, order o = order::seq_cst) noexcept {
    return swap_if(false, expected, desired, o, without_release(o));
  }
  bool compare_exchange_weak(T& expected, T desired, order success, order failure) noexcept {
    return swap_if(true, expected, desired, success, failure);
  }
  bool compare_exchange_weak(T& expected, T desired, order o = order::seq_cst) noexcept {
    return swap_if(true, expected, desired, o, without_release(o));
  }

 private:
  friend struct bed;

  static order without_release(order o) noexcept {
    if (o == order::acq_rel) return order::acquire;
    return o == order::release ? order::relaxed : o;
  }

  // What an acquire load of a store of this order, by the running thread and now, synchronizes with.
  static vector_clock sent(explorer& e, order o) noexcept {
    thread_state& me = e.here();
    if (!releases(o)) return me.fence_release;
    vector_clock message = me.clock;
    me.clock.tick(e.self());
    return message;
  }

  void observe(explorer& e, order o) const noexcept {
    thread_state& me = e.here();
    me.read.emplace_back(&cell_, cell_.version);
    (acquires(o) ? me.clock : me.to_acquire).join(cell_.message);
  }

  void write(explorer& e, T value, order o) noexcept {
    value_ = value;
    cell_.message.join(sent(e, o));
    e.written(cell_, e.self());
  }

  template <class F>
  T modify(const char* name, order o, F change) noexcept {
    T old = value_;
    explorer* e = scheduled();
    if (e == nullptr) {
      value_ = change(old);
      return old;
    }
    e->announce({op_kind::rmw, &cell_});
    old = value_;
    observe(*e, o);
    write(*e, change(old), o);
    if (e->tracing()) e->log(name, " ", e->place(this), ": ", shown(old), " -> ", shown(value_));
    return old;
  }

  bool swap_if(bool weak, T& expected, T desired, order success, order failure) noexcept {
    explorer* e = scheduled();
    bool spurious = e != nullptr && e->announce({op_kind::rmw, &cell_, weak});
    bool equal = std::memcmp(&value_, &expected, sizeof(T)) == 0 && !spurious;
    if (e != nullptr) {
      observe(*e, equal ? success : failure);
      if (e->tracing()) {
        e->log("compare_exchange ", e->place(this), ": ", shown(value_), equal ? " -> " : " not ",
               shown(equal ? desired : expected), spurious ? ", for no reason" : "");
      }
      if (equal) write(*e, desired, success);
    } else if (equal) {
      value_ = desired;
    }
    if (!equal) expected = value_;
    return equal;
  }

  mutable cell cell_;  // first: it has the atomic's address, by which traces call it
  T value_;
};

// The policy.
struct sync {
  template <class T>
  using atomic = model::atomic<T>;

  static void fence() noexcept {
    if (explorer* e = scheduled()) order_all(*e, op_kind::fence, "fence");
  }
  static void light_fence() noexcept {}
  static bool asymmetric() noexcept { return true; }
  static void heavy_fence() noexcept {
    if (explorer* e = scheduled()) order_all(*e, op_kind::heavy_fence, "heavy fence");
  }
  static void pause() noexcept {
    if (explorer* e = scheduled()) {
      e->announce({op_kind::pause});
      e->log("pause ends");
    }
  }

 private:
  static void order_all(explorer& e, op_kind kind, const char* name) {
    e.announce({kind});
    thread_state& me = e.here();
    me.clock.join(me.to_acquire);
    me.fence_release = me.clock;
    me.clock.tick(e.self());
    e.log(name);
  }
};

// A futex: see platform::futex_bed.
struct bed {
  // False: the deadline passed.
  static bool sleep(sync::atomic<std::uint32_t>& word, std::uint32_t expected,
                    std::int64_t deadline) noexcept {
    explorer* e = scheduled();
    if (e == nullptr) std::abort();  // nobody would wake it
    e->announce({op_kind::sleep, &word.cell_});
    e->here().read.emplace_back(&word.cell_, word.cell_.version);
    if (word.value_ != expected) {
      if (e->tracing()) e->log("does not sleep on ", e->place(&word), " = ", shown(word.value_));
      return true;
    }
    if (e->tracing()) e->log("sleeps on ", e->place(&word));
    bool with_deadline = deadline != std::numeric_limits<std::int64_t>::max();
    return e->fall_asleep(word.cell_, with_deadline) != wake_reason::timeout;
  }

  // Only the address is used.
  static void wake(sync::atomic<std::uint32_t>& word) noexcept {
    explorer* e = scheduled();
    if (e == nullptr) return;
    e->announce({op_kind::wake, &word.cell_});
    bool somebody = e->wake_one(word.cell_);
    if (e->tracing())
      e->log(somebody ? "wakes a sleeper on " : "wakes nobody on ", e->place(&word));
  }
};

// A lock that has no schedules of its own: see Locks. In set-up it only changes its state.
class lock {
 public:
  lock() = default;
  lock(const lock&) = delete;
  void acquire() noexcept { change(op_kind::lock, "locks "); }
  void release() noexcept { change(op_kind::rmw, "unlocks "); }

 private:
  void change(op_kind kind, const char* name) noexcept {
    explorer* e = scheduled();
    if (e == nullptr) {
      ++cell_.version;
      return;
    }
    e->announce({kind, &cell_});
    thread_state& me = e->here();
    me.clock.join(cell_.message);
    cell_.message = me.clock;
    me.clock.tick(e->self());
    e->written(cell_, e->self());
    if (e->tracing()) e->log(name, e->place(this));
  }

  cell cell_;
};

// Plain data: unordered accesses, one of them a write, are reported as a race.
template <class T>
class var {
 public:
  var() : var(T{}) {}
  var(T value) : value_(value) { note_write("constructed"); }
  var(const var&) = delete;
  ~var() {
    if (scheduled() != nullptr) note_write("destroyed");
  }

  const T& get() const {
    if (explorer* e = explorer::current(); e != nullptr && !e->failed()) {
      int me = e->self();
      if (e->tracing()) e->log("read ", e->place(this));
      require(*e, writer_, wrote_, "a write", "a read");
      read_[me] = e->here().clock[me];
    }
    return value_;
  }
  operator T() const { return get(); }

  void set(T value) {
    note_write("write");
    value_ = value;
  }
  var& operator=(T value) {
    set(value);
    return *this;
  }
  var& operator=(const var& other) { return *this = other.get(); }
  var& operator+=(T by) { return *this = get() + by; }

 private:
  void require(explorer& e, int thread, std::uint32_t count, const char* theirs,
               const char* mine) const {
    if (thread == e.self() || count <= e.here().clock[thread]) return;
    e.fail([&] {
      return "data race on " + e.place(this) + ": " + theirs + " by " + e.name_of(thread) +
             " and " + mine + " by " + e.name_of(e.self());
    });
  }

  void note_write(const char* what) {
    explorer* e = explorer::current();
    if (e == nullptr || e->failed()) return;
    if (e->tracing() && e->in_thread()) e->log(what, " ", e->place(this));
    require(*e, writer_, wrote_, "a write", "a write");
    for (int t = 0; t <= max_threads; ++t) require(*e, t, read_[t], "a read", "a write");
    writer_ = e->self();
    wrote_ = e->here().clock[writer_];
  }

  T value_;
  int writer_ = main_thread;
  std::uint32_t wrote_ = 0;
  mutable std::uint32_t read_[max_threads + 1]{};
};

}  // namespace runnel::model
