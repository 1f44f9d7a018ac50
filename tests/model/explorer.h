#pragma once
// The engine of the interleaver: runs a program again and again, each time along another schedule. What it models
// is told in interleaver.h, through which it is used.
//
// A *transition* is one of, for each thread t:
//   run(t)       the operation that t announced, and what t computes up to its next announcement
//   flush(t)     the oldest store in t's buffer reaches memory
//   timeout(t)   t, asleep with a deadline, stops sleeping
//   spurious(t)  t, asleep, is woken for no reason; or t's compare_exchange_weak fails for none
//
// Search: depth first over the transitions enabled at every point, stateless: to go back is to run anew. Two
// transitions that commute need not be tried in both orders; sleep sets (Godefroid) leave out the second.
//   u is in the sleep set of a point  =>  u is enabled there, and every schedule that goes on with u is equivalent
//                                         to one already seen
// They leave at least one schedule of every equivalence class, so no deadlock, failed check or race is missed.
// They do not go together with a preemption bound (what was seen instead may have been out of bounds), so with
// a bound they are off.
// A transition that commutes with everything any other thread can ever do is taken at once, as the only choice:
// see local().
//
// Invariants
//   path_[i].done, chosen and sleep are disjoint subsets of path_[i].enabled (sleep: of what commutes so far)
//   the prefix path_[0 .. size-1) is replayed exactly: the enabled sets must be the same, or the program is not
//   deterministic and exploration stops with that failure

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "model/clock.h"
#include "model/fiber.h"
#include "model/memory.h"

namespace runnel::model {

struct options {
  int max_preemptions = -1;  // switches away from a thread that could go on; -1: no bound
  std::uint64_t max_executions = 5'000'000;
  int max_steps = 2'000;  // of one execution: more is reported as a livelock
  int max_spurious =
      0;  // wake-ups without reason and failures of compare_exchange_weak, per execution
  bool reduce = true;  // sleep sets and local steps
};

struct result {
  bool ok = false;  // nothing wrong was found
  bool complete =
      false;  // and every schedule has been tried, up to equivalence and the preemption bound
  std::uint64_t executions = 0;  // run to their end
  std::uint64_t redundant = 0;   // given up because an equivalent one had been seen
  std::string failure;           // one line
  std::string trace;  // the failing schedule, readable; or, without failure, what was not complete
};

class program;
using program_body = std::function<void(program&)>;

class explorer {
 public:
  explicit explorer(const options& wanted) : options_(wanted) {}
  explorer(const explorer&) = delete;
  explorer& operator=(const explorer&) = delete;

  result explore(const program_body& body);

  // The explorer that runs the calling thread of a program; null outside of executions.
  static explorer* current() noexcept { return current_; }
  // Inside a thread of a program, not in its set-up or in what comes last.
  bool in_thread() const noexcept { return self_ != main_thread && !failed(); }
  int self() const noexcept { return self_; }
  thread_state& state(int t) noexcept { return threads_[t]; }
  thread_state& here() noexcept { return threads_[self_]; }
  bool heavy_fences() const noexcept { return heavy_fences_; }

  // Announces an operation and returns when it is chosen: its effect must follow without another announcement.
  // True: it is to fail for no reason.
  bool announce(const operation& op) {
    if (op.kind == op_kind::heavy_fence && !heavy_fences_) {
      // Stores stop being local steps from here on; what was explored until now does not count.
      heavy_fences_ = true;
      restart_ = true;
      leave_for_good();
    }
    here().op = op;
    here().spurious = false;
    switch_to(pick());
    return here().spurious;
  }

  // Of the futex: after the check, sleeps until woken. The caller has announced op_kind::sleep.
  wake_reason fall_asleep(cell& word, bool with_deadline) {
    here().op = {op_kind::asleep, &word};
    here().with_deadline = with_deadline;
    sleepers_.push_back(self_);
    switch_to(pick());
    return here().reason;
  }

  bool wake_one(cell& word) {
    for (int t : sleepers_) {
      if (threads_[t].op.where != &word) continue;
      rouse(t, wake_reason::woken);
      return true;
    }
    return false;
  }

  // A store reached memory.
  void written(cell& where, int by) {
    ++where.version;
    ++changes_;
    for (auto& [seen, version] : threads_[by].read) {
      if (seen == &where && version == where.version - 1) version = where.version;
    }
  }

  // An atomic's life ends. The thread that ends it must know that nobody else uses it; its own stores come first.
  void destroyed(cell& where) {
    for (int t = 0; t < count_; ++t) {
      bool buffered =
          std::ranges::any_of(threads_[t].buffer, [&](auto& s) { return s.where == &where; });
      if (buffered && t == self_) announce({op_kind::drain});
      if (buffered && t != self_)
        fail([&] { return "destroyed with a store on its way: " + place(&where); });
      std::erase_if(threads_[t].read, [&](auto& seen) { return seen.first == &where; });
    }
  }

  // `describe` makes the text, and nothing of it may be left when a thread is dropped here.
  template <class Describe>
  void fail(Describe describe) {
    stop(describe());
    if (self_ != main_thread) leave_for_good();
  }

  bool failed() const noexcept { return !failure_.empty(); }
  bool tracing() const noexcept { return tracing_; }

  // The arguments are streamed, and only while a failure is replayed.
  template <class... Args>
  void log(const Args&... args) {
    if (!tracing_) return;
    std::ostringstream line;
    line << "  " << name_of(self_) << ": ";
    (line << ... << args);
    lines_.push_back(line.str());
  }

  std::string place(const void* address);
  std::string name_of(int thread) const {
    if (thread == main_thread) return "main";
    const std::string& name = threads_[thread].name;
    return "T" + std::to_string(thread) + (name.empty() ? "" : " " + name);
  }

 private:
  friend class program;
  using mask = std::uint32_t;
  enum family { run = 0, flush = 1, timeout = 2, spurious = 3 };
  static mask bit(family f, int thread) noexcept { return mask{1} << (f * max_threads + thread); }
  static constexpr mask all_runs = (mask{1} << max_threads) - 1;

  struct point {
    mask enabled, sleep, done;
    std::uint8_t chosen;
  };

  // What a transition touches, so far as others may care.
  struct footprint {
    const void* where = nullptr;
    bool writes = false;
    bool heavy = false, enqueues = false;  // a heavy fence is held up by stores that enter a buffer
    bool budgeted = false;                 // spurious events use one budget up
    bool pauses = false;                   // a thread may spin on when nothing else can run
  };

  static constexpr int idle_pauses_max = 8;

  enum class outcome { finished, redundant, stopped };

  outcome execute(const program_body& body);
  bool backtrack();
  void release();
  int pick();
  mask enabled_transitions();
  bool can_run(int t) const;
  bool can_go_on(int t) const;
  bool local(int t) const;
  bool changed(const thread_state& t) const;
  footprint of(int transition) const;
  bool independent(int a, int b) const;
  mask still_asleep(mask asleep, int chosen) const;
  int first(mask candidates) const;
  void flush_oldest(int t);
  void rouse(int t, wake_reason why);
  std::string deadlock() const;

  void stop(const std::string& what) {
    if (!failed()) failure_ = what;
    if (tracing_) lines_.push_back("  FAILED: " + what);
  }

  void switch_to(int next) {
    int from = self_;
    if (next == from) return;
    self_ = next;
    fiber_of(from).switch_to(fiber_of(next));
  }

  [[noreturn]] void leave_for_good() {
    switch_to(main_thread);
    std::abort();
  }

  fiber& fiber_of(int thread) { return thread == main_thread ? main_fiber_ : *fibers_[thread]; }

  static void thread_entry(void* argument) {
    auto& self = *static_cast<explorer*>(argument);
    for (;;) {
      thread_state& t = self.here();
      t.body();
      t.op = {op_kind::finished};
      if (self.tracing_) self.log("ends");
      self.switch_to(self.pick());
    }
  }

  static inline explorer* current_ = nullptr;

  options options_;
  fiber main_fiber_;
  std::unique_ptr<fiber> fibers_[max_threads];
  std::vector<point> path_;

  // Of the execution that runs.
  thread_state threads_[max_threads + 1];
  int count_ = 0;
  int self_ = main_thread;
  int last_ = -1;  // the last to take a step that was not local
  std::size_t depth_ = 0;
  int steps_ = 0;
  int preemptions_ = 0;
  int spurious_left_ = 0;
  mask next_sleep_ = 0;
  std::uint64_t changes_ = 0;
  std::deque<int> sleepers_;
  std::vector<std::pair<void*, void (*)(void*)>> objects_;
  std::function<void()> finally_;
  struct label {
    std::string name;
    std::size_t size;
  };
  std::vector<std::pair<const char*, label>> labels_;
  std::map<const void*, std::size_t> strangers_;
  std::string failure_;
  bool redundant_ = false;
  bool restart_ = false;
  bool tracing_ = false;
  bool heavy_fences_ = false;
  std::vector<std::string> lines_;
};

}  // namespace runnel::model

#include "model/search.h"
