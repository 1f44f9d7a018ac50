// A pool of connections.
//
// Invariants, under the lock
//   somebody waits        =>  nothing is idle, and all places are taken
//   a place is taken      =>  a connection has it, or somebody is about to open one in it or to close one
//   a waiter is in line   =>  nothing has been sent to it; once it is out, one grant comes, unless it left by itself
//
// Connections are opened, asked for their health and closed without the lock. So whoever finds some to close takes them out of
// sight, closes them, and only then gives their places to others.

#include "runnel/connection_pool.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "runnel/select.h"

namespace runnel {

const std::error_category& connection_pool_category() noexcept {
  static constinit const struct category final : std::error_category {
    constexpr category() = default;
    const char* name() const noexcept override { return "connection_pool"; }
    std::string message(int e) const override {
      return e == static_cast<int>(connection_pool_errc::closed) ? "connection pool is closed"
                                                                 : "unknown error";
    }
  } instance;
  return instance;
}

namespace detail {

struct connection_pool_core::waiter {
  chan<grant> turn = make_chan<grant>(1);
  std::list<waiter*>::iterator position;
  bool in_line = true;  // under the pool's lock
};

// Connections that are taken out of sight, to be closed without the lock; then their places are given to others.
class connection_pool_core::doomed {
 public:
  explicit doomed(connection_pool_core& pool) noexcept : pool_(pool) {}
  doomed(const doomed&) = delete;
  doomed& operator=(const doomed&) = delete;
  ~doomed() { close(); }

  void add(pooled_ptr c) noexcept {
    c->next = std::move(list_);
    list_ = std::move(c);
  }
  void close() {
    std::size_t n = 0;
    for (; list_ != nullptr; ++n) list_ = std::move(list_->next);
    if (n != 0) pool_.give_places(n);
  }

 private:
  connection_pool_core& pool_;
  pooled_ptr list_;
};

// A place that is ours until a connection has it.
class connection_pool_core::place {
 public:
  explicit place(connection_pool_core& pool) noexcept : pool_(&pool) {}
  place(place&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
  place& operator=(place&&) = delete;
  ~place() {
    if (pool_ != nullptr) pool_->give_places(1);
  }
  void fill() noexcept { pool_ = nullptr; }

 private:
  connection_pool_core* pool_;
};

namespace {

duration or_unlimited(duration limit) noexcept {
  return limit > duration::zero() ? limit : duration::max();
}

time_point later(time_point t, duration d) noexcept {
  return d < time_point::max() - t ? t + d : time_point::max();
}

time_point now() noexcept { return time_point::clock::now(); }

}  // namespace

connection_pool_core::connection_pool_core(const connection_pool_options& limits, open_func open,
                                           healthy_func healthy)
    : max_open_(limits.max_open),
      max_idle_(limits.max_idle),
      max_lifetime_(or_unlimited(limits.max_lifetime)),
      max_idle_time_(or_unlimited(limits.max_idle_time)),
      open_(std::move(open)),
      healthy_(std::move(healthy)) {}

std::shared_ptr<connection_pool_core> connection_pool_core::make(
    const connection_pool_options& limits, open_func open, healthy_func healthy) {
  return std::make_shared<connection_pool_core>(limits, std::move(open), std::move(healthy));
}

connection_pool_core::opened connection_pool_core::get(const context& ctx) {
  if (std::error_code ended = ctx.err()) return std::unexpected(ended);
  doomed old(*this);
  std::unique_lock hold(mu_);
  if (closed_) return std::unexpected(connection_pool_errc::closed);
  const time_point at = now();
  while (idle_ != nullptr) {
    pooled_ptr c = std::move(idle_);
    idle_ = std::move(c->next);
    --idle_count_;
    if (!too_old_locked(*c, at)) {
      hold.unlock();
      old.close();
      return use(ctx, std::move(c));
    }
    old.add(std::move(c));
  }
  if (max_open_ == 0 || places_ < max_open_) {
    ++places_;
    hold.unlock();
    place mine(*this);
    old.close();
    return open_in(ctx, std::move(mine));
  }
  waiter me;
  me.position = waiting_.insert(waiting_.end(), &me);
  ++counted_.waits;
  hold.unlock();
  old.close();  // perhaps one of these places will be ours
  return wait(ctx, me);
}

connection_pool_core::opened connection_pool_core::wait(const context& ctx, waiter& me) {
  const time_point begun = now();
  std::optional<grant> mine;
  select(recv(me.turn, mine), recv(ctx.done()));
  std::unique_lock hold(mu_);
  counted_.waited += now() - begun;
  if (me.in_line) {
    waiting_.erase(me.position);
    return std::unexpected(ctx.err());
  }
  hold.unlock();
  const bool gave_up = !mine;  // and was served at the same moment: it goes on to the next
  if (gave_up) mine = me.turn.recv();
  if (mine->connection != nullptr) {
    if (!gave_up) return use(ctx, std::move(mine->connection));
    put(std::move(mine->connection));
  } else if (mine->place) {
    place given(*this);
    if (!gave_up) return open_in(ctx, std::move(given));
  }
  if (gave_up) return std::unexpected(ctx.err());
  return std::unexpected(connection_pool_errc::closed);
}

// Has been used before.
connection_pool_core::opened connection_pool_core::use(const context& ctx, pooled_ptr got) {
  place mine(*this);
  pooled_ptr c = std::move(got);  // ends before its place is given away
  if (!healthy_ || healthy_(*c)) {
    mine.fill();
    return c;
  }
  c.reset();
  {
    std::lock_guard hold(mu_);
    ++counted_.unhealthy;
  }
  return open_in(ctx, std::move(mine));
}

connection_pool_core::opened connection_pool_core::open_in(const context& ctx, place mine) {
  opened c = open_counted(ctx);
  if (!c) return c;
  (*c)->opened_at = now();
  std::unique_lock hold(mu_);
  if (!closed_) {
    mine.fill();
    return c;
  }
  hold.unlock();
  c->reset();
  return std::unexpected(connection_pool_errc::closed);
}

connection_pool_core::opened connection_pool_core::open_counted(const context& ctx) {
  struct failure {
    connection_pool_core& pool;
    bool happened = true;
    ~failure() {
      if (!happened) return;
      std::lock_guard hold(pool.mu_);
      ++pool.counted_.failed_opens;
    }
  } failed{*this};
  opened c = open_(ctx);
  failed.happened = !c;
  return c;
}

// False: nobody waits.
bool connection_pool_core::send_to_first_locked(grant g) {
  if (waiting_.empty()) return false;
  waiter& first = *waiting_.front();
  waiting_.pop_front();
  first.in_line = false;
  first.turn.send(std::move(g));  // there is room; it cannot go before we have unlocked
  return true;
}

void connection_pool_core::give_places(std::size_t n) {
  std::lock_guard hold(mu_);
  for (; n != 0; --n) {
    if (!send_to_first_locked({.connection = nullptr, .place = true})) --places_;
  }
}

void connection_pool_core::put(pooled_ptr c) {
  doomed over(*this);
  std::lock_guard hold(mu_);  // ends before the doomed
  const time_point at = now();
  if (closed_) {
    over.add(std::move(c));
  } else if (at - c->opened_at >= max_lifetime_) {
    ++counted_.over_lifetime;
    over.add(std::move(c));
  } else if (!waiting_.empty()) {
    send_to_first_locked({.connection = std::move(c)});
  } else if (idle_count_ >= max_idle_) {
    ++counted_.over_idle;
    over.add(std::move(c));
  } else {
    c->idle_since = at;
    expire_later_locked(expiry(*c));
    c->next = std::move(idle_);
    idle_ = std::move(c);
    ++idle_count_;
  }
}

void connection_pool_core::discard(pooled_ptr c) {
  doomed broken(*this);
  broken.add(std::move(c));
  std::lock_guard hold(mu_);
  ++counted_.discarded;
}

void connection_pool_core::close() {
  doomed all(*this);
  std::lock_guard hold(mu_);
  if (closed_) return;
  closed_ = true;
  while (send_to_first_locked({})) {
  }
  for (; idle_ != nullptr; --idle_count_) {
    pooled_ptr c = std::move(idle_);
    idle_ = std::move(c->next);
    all.add(std::move(c));
  }
  if (timer_) timer_->stop();
}

connection_pool_stats connection_pool_core::stats() {
  std::lock_guard hold(mu_);
  return {.max_open = max_open_,
          .open = places_,
          .in_use = places_ - idle_count_,
          .idle = idle_count_,
          .waiting = waiting_.size(),
          .wait_count = counted_.waits,
          .wait_duration = counted_.waited,
          .closed_max_idle = counted_.over_idle,
          .closed_max_idle_time = counted_.over_idle_time,
          .closed_max_lifetime = counted_.over_lifetime,
          .closed_unhealthy = counted_.unhealthy,
          .discarded = counted_.discarded,
          .failed_opens = counted_.failed_opens};
}

// Of an idle one. Counts it if it is.
bool connection_pool_core::too_old_locked(const pooled& c, time_point at) noexcept {
  if (at - c.opened_at >= max_lifetime_) {
    ++counted_.over_lifetime;
    return true;
  }
  if (at - c.idle_since >= max_idle_time_) {
    ++counted_.over_idle_time;
    return true;
  }
  return false;
}

time_point connection_pool_core::expiry(const pooled& c) const noexcept {
  return std::min(later(c.opened_at, max_lifetime_), later(c.idle_since, max_idle_time_));
}

// The timer is not set back for one that is taken: it finds nothing to do then, once.
void connection_pool_core::expire_later_locked(time_point when) {
  const time_point at = now();
  if (when == time_point::max() || (timer_due_ > at && timer_due_ <= when)) return;
  timer_due_ = when;
  if (timer_) {
    timer_->reset(when - at);
  } else {
    timer_ = after_func(when - at, [pool = weak_from_this()] {
      if (auto self = pool.lock()) self->expire();
    });
  }
}

void connection_pool_core::expire() {
  doomed old(*this);
  std::lock_guard hold(mu_);
  if (closed_) return;
  const time_point at = now();
  time_point next = time_point::max();
  for (pooled_ptr* link = &idle_; *link != nullptr;) {
    if (too_old_locked(**link, at)) {
      pooled_ptr c = std::move(*link);
      *link = std::move(c->next);
      --idle_count_;
      old.add(std::move(c));
    } else {
      next = std::min(next, expiry(**link));
      link = &(*link)->next;
    }
  }
  expire_later_locked(next);
}

}  // namespace detail
}  // namespace runnel
