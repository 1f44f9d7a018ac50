#pragma once
// The engine of the interleaver, second part: the search itself. See explorer.h.

#include "model/explorer.h"

namespace runnel::model {

// Sets up one execution.
class program {
 public:
  explicit program(explorer& e) : explorer_(e) {}

  // State that the threads share: made anew for each execution, destroyed after it.
  template <class T, class... Args>
  T& make(Args&&... args) {
    T* object = new T(std::forward<Args>(args)...);
    explorer_.objects_.emplace_back(object, [](void* o) { delete static_cast<T*>(o); });
    label(*object, "s" + std::to_string(explorer_.objects_.size() - 1));
    return *object;
  }

  // How traces call the object, and with an offset, what lies inside.
  template <class T>
  void label(const T& object, std::string name) {
    explorer_.labels_.emplace_back(reinterpret_cast<const char*>(&object),
                                   explorer::label{std::move(name), sizeof(T)});
  }

  void thread(std::function<void()> body) { thread("", std::move(body)); }
  void thread(std::string name, std::function<void()> body) {
    if (explorer_.count_ == max_threads) std::abort();
    thread_state& t = explorer_.threads_[explorer_.count_++];
    t.name = std::move(name);
    t.body = std::move(body);
    t.op = {op_kind::start};
  }

  // Runs when all threads have ended and all stores have reached memory.
  void finally(std::function<void()> body) { explorer_.finally_ = std::move(body); }

 private:
  explorer& explorer_;
};

inline result explorer::explore(const program_body& body) {
  if (options_.max_preemptions >= 0 && options_.max_executions == 0) std::abort();
  result r;
  for (;;) {
    switch (execute(body)) {
      case outcome::finished: ++r.executions; break;
      case outcome::redundant: ++r.redundant; break;
      case outcome::stopped: break;
    }
    if (restart_) {
      restart_ = false;
      path_.clear();
      r = {};
      continue;
    }
    if (failed()) {
      r.failure = failure_;
      tracing_ = true;
      execute(body);
      if (failure_ != r.failure) r.failure += " (not deterministic)";
      r.trace = r.failure + "\n";
      constexpr std::size_t lines_max = 300;  // of a livelock, the end tells enough
      std::size_t skipped = lines_.size() > lines_max ? lines_.size() - lines_max : 0;
      if (skipped != 0) r.trace += "  (" + std::to_string(skipped) + " steps left out)\n";
      for (std::size_t i = skipped; i < lines_.size(); ++i) r.trace += lines_[i] + "\n";
      return r;
    }
    if (!backtrack()) break;
    if (r.executions + r.redundant >= options_.max_executions) {
      r.ok = true;
      r.trace = "not complete after " + std::to_string(r.executions) + " executions and " +
                std::to_string(r.redundant) + " redundant ones";
      return r;
    }
  }
  r.ok = r.complete = true;
  return r;
}

inline explorer::outcome explorer::execute(const program_body& body) {
  current_ = this;
  failure_.clear();
  lines_.clear();
  redundant_ = false;
  depth_ = 0;
  steps_ = preemptions_ = 0;
  last_ = -1;
  next_sleep_ = 0;
  changes_ = 0;
  spurious_left_ = options_.max_spurious;
  threads_[main_thread].clock = {};
  threads_[main_thread].clock.tick(main_thread);

  program p(*this);
  body(p);
  for (int t = 0; t < count_; ++t) {
    if (fibers_[t] == nullptr) fibers_[t] = std::make_unique<fiber>(&thread_entry, this);
    threads_[t].clock = threads_[main_thread].clock;
    threads_[t].clock.tick(t);
  }
  if (!failed()) switch_to(pick());

  for (int t = 0; t < count_; ++t) {
    threads_[main_thread].clock.join(threads_[t].clock);
    if (threads_[t].op.kind != op_kind::finished) fibers_[t]->reset();
  }
  bool finished = !failed() && !redundant_ && !restart_;
  if (finished && finally_) finally_();
  release();
  current_ = nullptr;
  if (redundant_) return outcome::redundant;
  return finished ? outcome::finished : outcome::stopped;
}

inline void explorer::release() {
  finally_ = nullptr;
  while (!objects_.empty()) {
    auto [object, destroy] = objects_.back();
    objects_.pop_back();
    destroy(object);
  }
  for (int t = 0; t < count_; ++t) {
    thread_state& s = threads_[t];
    s.body = nullptr;
    s.buffer.clear();
    s.read.clear();
    s.idle_pauses = 0;
    s.idle_since = 0;
    s.to_acquire = s.fence_release = {};
  }
  count_ = 0;
  sleepers_.clear();
  labels_.clear();
  strangers_.clear();
}

// To the last point with something left to try. False: there is none.
inline bool explorer::backtrack() {
  while (!path_.empty()) {
    point& p = path_.back();
    p.done |= mask{1} << p.chosen;
    mask candidates = p.enabled & ~p.sleep & ~p.done;
    if (candidates != 0) {
      p.chosen = static_cast<std::uint8_t>(__builtin_ctz(candidates));
      return true;
    }
    path_.pop_back();
  }
  return false;
}

// Takes steps until one is a thread's, and returns that thread; or main_thread at the end.
inline int explorer::pick() {
  bool sleep_sets = options_.reduce && options_.max_preemptions < 0;
  for (;;) {
    mask enabled = enabled_transitions();
    if (enabled == 0) {
      std::string stuck = deadlock();
      if (!stuck.empty()) stop(stuck);
      return main_thread;
    }
    if (depth_ == path_.size()) {
      mask asleep = sleep_sets ? next_sleep_ : 0;
      if ((enabled & ~asleep) == 0) {
        redundant_ = true;
        if (fiber::cheap_to_reset) return main_thread;
      }
      // A redundant execution that goes on to its end has no other choices.
      if (redundant_) asleep = 0;
      mask done = redundant_ ? enabled : 0;
      path_.push_back({enabled, asleep, done, static_cast<std::uint8_t>(first(enabled & ~asleep))});
    } else if (path_[depth_].enabled != enabled) {
      stop("the program is not deterministic: replayed, it went another way");
      return main_thread;
    }
    const point& p = path_[depth_++];
    if (sleep_sets && !redundant_ && depth_ == path_.size())
      next_sleep_ = still_asleep(p.sleep | p.done, p.chosen);

    if (++steps_ > options_.max_steps) {
      stop("more than " + std::to_string(options_.max_steps) + " steps: a livelock?");
      return main_thread;
    }
    auto f = static_cast<family>(p.chosen / max_threads);
    int t = p.chosen % max_threads;
    thread_state& s = threads_[t];
    if (f == flush) {
      flush_oldest(t);
      continue;
    }
    if (f == timeout || f == spurious) {
      if (f == spurious) --spurious_left_;
      if (s.op.kind == op_kind::asleep) {
        if (tracing_) {
          lines_.push_back("  " + name_of(t) + ": " +
                           (f == timeout ? "times out" : "wakes for no reason"));
        }
        rouse(t, f == timeout ? wake_reason::timeout : wake_reason::spurious);
        continue;
      }
      s.spurious = true;
    }
    if (!(options_.reduce && local(t))) {
      if (last_ >= 0 && last_ != t && can_go_on(last_)) ++preemptions_;
      last_ = t;
    }
    if (s.op.kind == op_kind::pause) {
      if (!changed(s)) ++s.idle_pauses;
      s.read.clear();
    }
    return t;
  }
}

inline explorer::mask explorer::enabled_transitions() {
  mask enabled = 0;
  for (int t = 0; t < count_; ++t) {
    const thread_state& s = threads_[t];
    if (!s.buffer.empty()) enabled |= bit(flush, t);
    if (s.op.kind == op_kind::asleep) {
      if (s.with_deadline) enabled |= bit(timeout, t);
      if (spurious_left_ > 0) enabled |= bit(spurious, t);
    } else if (can_run(t)) {
      if (options_.reduce && local(t)) return bit(run, t);
      enabled |= bit(run, t);
      if (s.op.weak && spurious_left_ > 0) enabled |= bit(spurious, t);
    }
  }
  if (enabled == 0) {
    // Only those are left, if any, who spin in vain. Perhaps they count how often.
    for (int t = 0; t < count_; ++t) {
      thread_state& s = threads_[t];
      if (s.op.kind != op_kind::pause) continue;
      if (s.idle_since != changes_) {
        s.idle_since = changes_;
        s.idle_pauses = 0;
      }
      if (s.idle_pauses < idle_pauses_max) enabled |= bit(run, t);
    }
    return enabled;
  }
  if (options_.max_preemptions >= 0 && preemptions_ >= options_.max_preemptions && last_ >= 0 &&
      can_go_on(last_)) {
    mask others = all_runs & ~bit(run, last_);
    for (int t = 0; t < count_; ++t) {
      if (t != last_ && threads_[t].op.weak) others |= bit(spurious, t);
    }
    enabled &= ~others;
  }
  return enabled;
}

inline bool explorer::can_run(int t) const {
  const thread_state& s = threads_[t];
  switch (s.op.kind) {
    case op_kind::start:
    case op_kind::load:
    case op_kind::store:
    case op_kind::woken: return true;
    case op_kind::rmw:
    case op_kind::fence:
    case op_kind::drain:
    case op_kind::sleep:
    case op_kind::wake: return s.buffer.empty();
    case op_kind::lock: return s.buffer.empty() && !s.op.where->held();
    case op_kind::heavy_fence:
      for (int i = 0; i < count_; ++i) {
        if (!threads_[i].buffer.empty()) return false;
      }
      return true;
    case op_kind::pause: return changed(s);
    case op_kind::asleep:
    case op_kind::finished: return false;
  }
  return false;
}

// Waiting for stores to reach memory is going on.
inline bool explorer::can_go_on(int t) const {
  op_kind kind = threads_[t].op.kind;
  return kind != op_kind::asleep && kind != op_kind::finished &&
         !(kind == op_kind::lock && threads_[t].op.where->held()) &&
         (kind != op_kind::pause || changed(threads_[t]));
}

// Whether the step that t can take commutes with all that others can do before t takes it. A store only enters
// t's buffer, which nobody sees: but a heavy fence would wait for it. A load that finds its value in the buffer
// is not local, for the value may first be flushed and overwritten.
inline bool explorer::local(int t) const {
  switch (threads_[t].op.kind) {
    case op_kind::start:
    case op_kind::woken:
    case op_kind::fence:
    case op_kind::drain: return true;
    case op_kind::pause: return changed(threads_[t]);
    case op_kind::store: return !heavy_fences_;
    default: return false;
  }
}

inline bool explorer::changed(const thread_state& t) const {
  for (const auto& [where, version] : t.read) {
    if (where->version != version) return true;
  }
  return t.read.empty();
}

inline explorer::footprint explorer::of(int transition) const {
  auto f = static_cast<family>(transition / max_threads);
  const thread_state& s = threads_[transition % max_threads];
  footprint print;
  if (f == flush) {
    print.where = s.buffer.front().where;
    print.writes = true;
    return print;
  }
  print.budgeted = f == spurious;
  switch (s.op.kind) {
    case op_kind::load: print.where = s.op.where; break;
    case op_kind::store: print.enqueues = true; break;
    case op_kind::heavy_fence: print.heavy = true; break;
    case op_kind::pause: print.pauses = true; break;
    case op_kind::rmw:
    case op_kind::lock:
    case op_kind::sleep:  // the queue of a futex word counts as part of the word
    case op_kind::wake:
    case op_kind::asleep:
      print.where = s.op.where;
      print.writes = true;
      break;
    default: break;
  }
  return print;
}

// Of two enabled transitions: in either order they can both be taken and lead to the same state.
inline bool explorer::independent(int a, int b) const {
  bool one_thread = a % max_threads == b % max_threads;
  if (one_thread && a / max_threads != flush && b / max_threads != flush) return false;
  footprint x = of(a), y = of(b);
  if (x.where != nullptr && x.where == y.where && (x.writes || y.writes)) return false;
  if ((x.heavy && y.enqueues) || (y.heavy && x.enqueues)) return false;
  if (x.budgeted && y.budgeted) return false;
  return !(x.pauses && y.pauses);
}

inline explorer::mask explorer::still_asleep(mask asleep, int chosen) const {
  mask out = 0;
  for (mask rest = asleep & ~(mask{1} << chosen); rest != 0; rest &= rest - 1) {
    int u = __builtin_ctz(rest);
    if (independent(u, chosen)) out |= mask{1} << u;
  }
  return out;
}

// Goes on with the same thread if it may: such schedules read best.
inline int explorer::first(mask candidates) const {
  if (last_ >= 0 && (candidates & bit(run, last_)) != 0) return last_;
  return __builtin_ctz(candidates);
}

inline void explorer::flush_oldest(int t) {
  std::vector<buffered_store>& buffer = threads_[t].buffer;
  const buffered_store& oldest = buffer.front();
  oldest.reach_memory();
  written(*oldest.where, t);
  if (tracing_) {
    lines_.push_back("  " + name_of(t) + ":     its store to " + place(oldest.where) +
                     " reaches memory");
  }
  buffer.erase(buffer.begin());
}

inline void explorer::rouse(int t, wake_reason why) {
  std::erase(sleepers_, t);
  threads_[t].op = {op_kind::woken};
  threads_[t].reason = why;
}

// Empty when all threads have ended.
inline std::string explorer::deadlock() const {
  std::string asleep, spinning;
  for (int t = 0; t < count_; ++t) {
    op_kind kind = threads_[t].op.kind;
    if (kind == op_kind::asleep || kind == op_kind::lock) asleep += " " + name_of(t);
    if (kind == op_kind::pause) spinning += " " + name_of(t);
  }
  if (!spinning.empty()) return "livelock: spin for ever:" + spinning;
  return asleep.empty() ? "" : "deadlock: asleep for ever:" + asleep;
}

inline std::string explorer::place(const void* address) {
  auto* at = static_cast<const char*>(address);
  for (auto i = labels_.rbegin(); i != labels_.rend(); ++i) {
    auto& [start, known] = *i;
    if (at < start || at >= start + known.size) continue;
    return at == start ? known.name : known.name + "+" + std::to_string(at - start);
  }
  return "m" + std::to_string(strangers_.try_emplace(address, strangers_.size()).first->second);
}

}  // namespace runnel::model
