// A pool of connections in the manner of database/sql: a limit on the open ones, on the idle ones
// and on the time that either may last, and a queue of those who wait for one, which they leave
// when their context ends. The connections are make-believe.
#include <runnel/chan.h>
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/select.h>
#include <runnel/sync.h>
#include <runnel/time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// ---- What is pooled

struct connection {
  runnel::time_point opened_at = steady_clock::now(), idle_since;
  std::atomic<int> users = 0;
  runnel::chan<runnel::unit> closed = runnel::make_chan<runnel::unit>();

  ~connection() { closed.close(); }

  // True if nobody else used the connection meanwhile.
  bool query() {
    const bool alone = ++users == 1;
    runnel::yield();
    return --users == 0 && alone;
  }
};
using connection_ptr = std::unique_ptr<connection>;

// ---- The pool

const std::error_code pool_closed = make_error_code(std::errc::not_connected);

struct limits {
  std::size_t open = 0;  // 0: none
  std::size_t idle = 0;
  runnel::duration lifetime{};   // 0: none
  runnel::duration idle_time{};  // 0: none
};

struct counters {
  std::size_t opened = 0, reused = 0, handed_over = 0;  // how connections were got
  std::size_t waited = 0, gave_up = 0;
  std::size_t over_idle = 0, over_lifetime = 0, over_idle_time = 0;  // closed: over a limit
};

struct state : counters {
  std::size_t open, waiting;
};

class pool {
 public:
  // A connection that is the holder's until this is destroyed.
  class lease {
   public:
    lease(pool& from, connection_ptr c) : from_(&from), c_(std::move(c)) {}
    lease(lease&&) = default;
    ~lease() { give_back(); }

    connection& operator*() const { return *c_; }
    connection* operator->() const { return c_.get(); }

    void give_back() {
      if (c_ != nullptr) from_->put(std::move(c_));
    }

   private:
    pool* from_;
    connection_ptr c_;
  };

  explicit pool(const limits& l) : limits_(l) {
    cleaner_.go([this] { clean(); });
  }
  ~pool() { close(); }

  std::expected<lease, std::error_code> get(const runnel::context& ctx) {
    if (ctx.err()) return std::unexpected(ctx.err());
    std::unique_lock guard(lock_);
    if (closed_) return std::unexpected(pool_closed);
    close_expired_locked();
    if (!idle_.empty()) {  // the last one to come is the first to go
      connection_ptr c = std::move(idle_.back());
      idle_.pop_back();
      ++counters_.reused;
      return lease(*this, std::move(c));
    }
    if (limits_.open == 0 || open_ < limits_.open) {
      ++open_;
      ++counters_.opened;
      guard.unlock();
      return lease(*this, std::make_unique<connection>());
    }
    const auto turn = runnel::make_chan<connection_ptr>(1);
    waiting_.push_back(turn);
    ++counters_.waited;
    guard.unlock();
    std::optional<connection_ptr> c;
    if (runnel::select(runnel::recv(turn, c), runnel::recv(ctx.done())) == 0) {
      return take(std::move(c));
    }
    if (!leave_queue(turn)) take(turn.recv());  // its turn came at this very moment: gives it back
    return std::unexpected(ctx.err());
  }

  // Closes the idle connections at once and the others when they come back, and sends away those
  // who wait.
  void close() {
    {
      const std::lock_guard guard(lock_);
      if (closed_) return;
      closed_ = true;
      while (!waiting_.empty()) next_locked().close();
      for (connection_ptr& c : idle_) drop_locked(std::move(c));
      idle_.clear();
    }
    closing_.close();
    cleaner_.wait();
  }

  struct state state() {
    const std::lock_guard guard(lock_);
    return {counters_, open_, waiting_.size()};
  }

 private:
  using turn_chan = runnel::chan<connection_ptr>;

  // Makes something of what comes out of the queue: null is the right to open a connection.
  std::expected<lease, std::error_code> take(std::optional<connection_ptr> c) {
    if (!c) return std::unexpected(pool_closed);
    return lease(*this, *c != nullptr ? std::move(*c) : std::make_unique<connection>());
  }

  // Gives a connection back: to the first in the queue, if there is one.
  void put(connection_ptr c) {
    const std::lock_guard guard(lock_);
    if (closed_) {
      drop_locked(std::move(c));
    } else if (over(limits_.lifetime, c->opened_at)) {
      ++counters_.over_lifetime;
      drop_locked(std::move(c));
    } else if (!waiting_.empty()) {
      ++counters_.handed_over;
      next_locked().send(std::move(c));
    } else if (idle_.size() >= limits_.idle) {
      ++counters_.over_idle;
      drop_locked(std::move(c));
    } else {
      c->idle_since = steady_clock::now();
      idle_.push_back(std::move(c));
      runnel::unit news;
      changed_.try_send(news);
    }
  }

  static bool over(runnel::duration limit, runnel::time_point since) {
    return limit > 0s && steady_clock::now() - since >= limit;
  }

  turn_chan next_locked() {
    turn_chan first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  }

  // Closes a connection. The first in the queue may open another one.
  void drop_locked(connection_ptr c) {
    c.reset();
    if (!waiting_.empty()) {
      ++counters_.opened;
      next_locked().send(nullptr);
    } else {
      --open_;
    }
  }

  void close_expired_locked() {
    std::erase_if(idle_, [this](connection_ptr& c) {
      if (over(limits_.lifetime, c->opened_at)) {
        ++counters_.over_lifetime;
      } else if (over(limits_.idle_time, c->idle_since)) {
        ++counters_.over_idle_time;
      } else {
        return false;
      }
      drop_locked(std::move(c));
      return true;
    });
  }

  bool leave_queue(const turn_chan& turn) {
    const std::lock_guard guard(lock_);
    if (std::erase(waiting_, turn) == 0) return false;
    ++counters_.gave_up;
    return true;
  }

  // Closes idle connections when their time is up.
  void clean() {
    runnel::timer timer(1h);
    while (runnel::select(runnel::recv(timer.c()), runnel::recv(changed_),
                          runnel::recv(closing_)) != 2) {
      timer.reset(clean_once());
    }
  }

  // Returns how long nothing will be to do.
  runnel::duration clean_once() {
    const std::lock_guard guard(lock_);
    close_expired_locked();
    const runnel::time_point now = steady_clock::now();
    runnel::duration rest = 1h;
    for (const connection_ptr& c : idle_) {
      if (limits_.lifetime > 0s) rest = std::min(rest, c->opened_at + limits_.lifetime - now);
      if (limits_.idle_time > 0s) rest = std::min(rest, c->idle_since + limits_.idle_time - now);
    }
    return rest;
  }

  const limits limits_;
  runnel::chan<runnel::unit> changed_ =
      runnel::make_chan<runnel::unit>(1);  // there is another idle
  runnel::chan<runnel::unit> closing_ = runnel::make_chan<runnel::unit>();
  runnel::wait_group cleaner_;

  runnel::mutex lock_;  // guards what follows
  std::vector<connection_ptr> idle_;
  std::deque<turn_chan> waiting_;
  std::size_t open_ = 0;  // idle, in use, and about to be opened
  bool closed_ = false;
  counters counters_;
};

// ---- Its use

pool::lease must_get(pool& p) { return p.get(runnel::background()).value(); }

// Returns when so many are in the queue.
void until_waiting(pool& p, std::size_t n) {
  while (p.state().waiting != n) runnel::yield();
}

const char* yes_or_no(bool b) { return b ? "true" : "false"; }

void report(const char* scene, pool& p) {
  const state s = p.state();
  std::printf("%s: %zu opened, %zu reused, %zu handed over; %zu waited, %zu gave up;\n", scene,
              s.opened, s.reused, s.handed_over, s.waited, s.gave_up);
  std::printf(
      "    closed: %zu over the idle ones, %zu over their lifetime, %zu over their idle time;"
      " now %zu open, %zu waiting\n",
      s.over_idle, s.over_lifetime, s.over_idle_time, s.open, s.waiting);
}

void one_by_one() {
  pool p({.open = 2, .idle = 2});
  for (int i = 0; i < 5; ++i) must_get(p);
  report("one by one", p);
}

void too_many_idle() {
  pool p({.idle = 2});
  const connection* second = nullptr;
  {
    std::vector<pool::lease> all;
    for (int i = 0; i < 5; ++i) all.push_back(must_get(p));
    second = &*all[1];
    for (pool::lease& c : all) c.give_back();
  }
  if (&*must_get(p) == second) std::puts("the last one to come is the first to go");
  report("five at once", p);
}

void queue() {
  pool p({.open = 1, .idle = 1});
  pool::lease only = must_get(p);
  std::vector<int> served;  // by the one who has the connection
  runnel::wait_group all;
  for (int i = 0; i < 5; ++i) {
    all.go([&, i] {
      const pool::lease c = must_get(p);
      served.push_back(i);
    });
    until_waiting(p, static_cast<std::size_t>(i) + 1);
  }
  only.give_back();
  all.wait();
  std::printf("served in the order [%d %d %d %d %d]\n", served.at(0), served.at(1), served.at(2),
              served.at(3), served.at(4));
  report("a queue", p);
}

void deadline() {
  pool p({.open = 1, .idle = 1});
  const pool::lease only = must_get(p);
  auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 5ms);
  const auto none = p.get(ctx);
  std::printf("gave up at the deadline: %s\n",
              yes_or_no(none.error() == runnel::context_errc::deadline_exceeded));
  cancel();
}

void give_up() {
  pool p({.open = 1, .idle = 1});
  pool::lease only = must_get(p);
  auto [cancelled, cancel] = runnel::with_cancel(runnel::background());
  auto first = runnel::make_chan<std::error_code>();
  auto second = runnel::make_chan<std::error_code>();
  const auto attempt = [&p](const runnel::context& ctx,
                            const runnel::send_chan<std::error_code>& result) {
    std::error_code error;
    if (const auto c = p.get(ctx); !c) error = c.error();
    result.send(error);
  };
  runnel::go(attempt, cancelled, first);
  until_waiting(p, 1);
  runnel::go(attempt, runnel::background(), second);
  until_waiting(p, 2);
  cancel();
  std::printf("gave up when cancelled: %s\n",
              yes_or_no(*first.recv() == runnel::context_errc::canceled));
  only.give_back();
  std::printf("the next one was served: %s\n", yes_or_no(!*second.recv()));
  std::printf("did not begin to wait: %s\n",
              yes_or_no(p.get(cancelled).error() == runnel::context_errc::canceled));
  report("giving up", p);
}

void lifetimes() {
  constexpr auto life = 5ms;
  pool p({.open = 1, .idle = 1, .lifetime = life});
  pool::lease old = must_get(p);
  runnel::after(life).recv();
  auto young = runnel::make_chan<runnel::chan<runnel::unit>>(1);
  runnel::wait_group waiter;
  waiter.go([&] { young.send(must_get(p)->closed); });
  until_waiting(p, 1);
  const auto old_closed = old->closed;
  old.give_back();
  old_closed.recv();
  young.recv()->recv();  // closed by the cleaner
  waiter.wait();
  report("lifetimes", p);
}

void idle_times() {
  pool p({.open = 3, .idle = 3, .idle_time = 5ms});
  pool::lease first = must_get(p), second = must_get(p);
  const auto first_closed = first->closed, second_closed = second->closed;
  first.give_back();
  second.give_back();
  first_closed.recv();
  second_closed.recv();
  report("idle times", p);
}

void crowd() {
  constexpr int people = 100, queries = 20;
  pool p({.open = 4, .idle = 4});
  std::array<std::size_t, people> alone{};
  runnel::wait_group all;
  for (std::size_t& mine : alone) {
    all.go([&] {
      for (int n = 0; n < queries; ++n) mine += must_get(p)->query() ? 1 : 0;
    });
  }
  all.wait();
  const std::size_t sum = std::accumulate(alone.begin(), alone.end(), std::size_t{});
  const state s = p.state();
  std::printf("a crowd: %zu queries, all got a connection: %s, never more than 4: %s\n", sum,
              yes_or_no(s.opened + s.reused + s.handed_over == sum),
              yes_or_no(s.opened <= 4 && s.open == s.opened));
}

const char* text(std::error_code error) {
  return error == pool_closed ? "the pool is closed" : "another error";
}

void closing() {
  pool p({.open = 2, .idle = 2});
  {
    const pool::lease used = must_get(p);
    must_get(p);
    const pool::lease idle = must_get(p);
    auto result = runnel::make_chan<std::error_code>();
    runnel::go([&p, result] { result.send(p.get(runnel::background()).error()); });
    until_waiting(p, 1);
    p.close();
    std::printf("sent away: %s\n", text(*result.recv()));
    std::printf("too late: %s\n", text(p.get(runnel::background()).error()));
  }
  report("closing", p);
}

}  // namespace

int main() {
  runnel::run([] {
    one_by_one();
    too_many_idle();
    queue();
    deadline();
    give_up();
    lifetimes();
    idle_times();
    crowd();
    closing();
  });
}
