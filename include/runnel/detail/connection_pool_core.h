#pragma once
// The pool of connections without their type: src/net/connection_pool.cpp. Not for programs.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <system_error>

#include "runnel/chan.h"
#include "runnel/context.h"
#include "runnel/net/error.h"
#include "runnel/sync/mutex.h"
#include "runnel/time.h"

namespace runnel {

struct connection_pool_options;
struct connection_pool_stats;

namespace detail {

// A connection; destroying it closes it.
struct pooled {
  pooled() = default;
  pooled(const pooled&) = delete;
  pooled& operator=(const pooled&) = delete;
  virtual ~pooled() = default;

  time_point opened_at;
  time_point idle_since;
  std::unique_ptr<pooled> next;  // in a list of the pool's
};
using pooled_ptr = std::unique_ptr<pooled>;

class connection_pool_core : public std::enable_shared_from_this<connection_pool_core> {
 public:
  using opened = result<pooled_ptr>;
  using open_func = std::function<opened(const context&)>;
  using healthy_func = std::function<bool(pooled&)>;  // empty: all are

  static std::shared_ptr<connection_pool_core> make(const connection_pool_options& limits,
                                                    open_func open, healthy_func healthy);
  connection_pool_core(const connection_pool_options& limits, open_func open, healthy_func healthy);

  opened get(const context& ctx);
  void put(pooled_ptr c);
  void discard(pooled_ptr c);
  void close();
  connection_pool_stats stats();

 private:
  // What comes to who waits: a connection; or a place, for opening one; or nothing, as the pool was closed.
  struct grant {
    pooled_ptr connection;
    bool place = false;
  };
  struct waiter;
  class doomed;
  class place;

  opened wait(const context& ctx, waiter& me);
  opened use(const context& ctx, pooled_ptr got);
  opened open_in(const context& ctx, place mine);
  opened open_counted(const context& ctx);
  void give_places(std::size_t n);
  bool send_to_first_locked(grant g);
  bool too_old_locked(const pooled& c, time_point now) noexcept;
  time_point expiry(const pooled& c) const noexcept;
  void expire_later_locked(time_point when);
  void expire();

  const std::size_t max_open_;  // 0: no limit
  const std::size_t max_idle_;
  const duration max_lifetime_;   // duration::max(): no limit
  const duration max_idle_time_;  // the same
  const open_func open_;
  const healthy_func healthy_;

  mutex mu_;         // guards what follows
  pooled_ptr idle_;  // a list, the last to come first
  std::size_t idle_count_ = 0;
  std::list<waiter*> waiting_;
  std::size_t places_ = 0;  // that are taken
  bool closed_ = false;
  std::optional<after_func_timer> timer_;
  time_point timer_due_;  // of the past: the timer is not running
  struct {
    std::uint64_t waits = 0, over_idle = 0, over_idle_time = 0, over_lifetime = 0;
    std::uint64_t unhealthy = 0, discarded = 0, failed_opens = 0;
    duration waited{};
  } counted_;
};

}  // namespace detail
}  // namespace runnel
