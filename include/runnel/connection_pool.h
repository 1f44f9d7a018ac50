#pragma once
// A pool of connections to a database or another server, in the shape of database/sql's.
//
//   using pg = std::unique_ptr<PGconn, pg_close>;
//   runnel::connection_pool<pg> pool({.max_open = 20, .max_idle = 20}, [] {
//     return runnel::result<pg>(runnel::blocking([] { return PQconnectdb("…"); }));
//   }, [](pg& c) { return PQstatus(c.get()) == CONNECTION_OK; });
//
//   auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 1s);
//   auto c = pool.get(ctx);             // result<handle>
//   if (!c) return c.error();
//   … PQexec((*c)->get(), …) …          // it is ours until the handle ends
//   if (broken) c->discard();           // closed, and not used again
//
// What is pooled is any type that can be moved and whose destructor closes the connection.
//
//                     get()
//   one is idle       takes the one that was given back last, if it is healthy and not too old
//   places are free   opens one
//   otherwise         waits in line, until the context ends
//
// First come, first served: a connection that is given back goes to the first in the line, and so does the place of one that is
// closed or could not be opened: the error goes to who tried, the next one has a try of its own. Whose context ends leaves
// the line; what has been given to it at that moment goes on to the next.
//
// A connection has its place, one of max_open, until its destructor has returned: there are never more, not for a moment.
// Opening, closing and the check of health are called without any lock, several at once, by whoever gets, gives back, or closes;
// idle ones whose time is up are closed by a goroutine of the pool's.
//
// Any thread; plain threads block. Handles may outlive the pool, and so may those who wait. It belongs to a run, as goroutines do: what they held or waited
// for when their run ended is not given back.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include "runnel/context.h"
#include "runnel/detail/connection_pool_core.h"
#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel {

// What get() answers besides the context's errors and those of opening: "connection pool is closed".
enum class connection_pool_errc { closed = 1 };
const std::error_category& connection_pool_category() noexcept;
inline std::error_code make_error_code(connection_pool_errc e) noexcept {
  return {static_cast<int>(e), connection_pool_category()};
}

}  // namespace runnel

template <>
struct std::is_error_code_enum<runnel::connection_pool_errc> : std::true_type {};

namespace runnel {

struct connection_pool_options {
  std::size_t max_open =
      0;  // connections, in use and idle; 0: no limit. Less than what the server allows
  std::size_t max_idle =
      2;  // that are kept while nobody uses them. As many as max_open is often right
  duration
      max_lifetime{};  // since it was opened; closed when it is given back or idle. Zero: no limit
  duration max_idle_time{};  // since it was given back. Zero: no limit
};

struct connection_pool_stats {
  std::size_t max_open = 0;
  std::size_t open = 0;    // in use, idle, being opened, being closed
  std::size_t in_use = 0;  // open and not idle
  std::size_t idle = 0;
  std::size_t waiting = 0;  // callers of get() in line

  // Since the pool was made:
  std::uint64_t wait_count = 0;  // calls of get() that had to stand in line
  duration wait_duration{};      // of those that stand there no longer
  std::uint64_t closed_max_idle = 0;
  std::uint64_t closed_max_idle_time = 0;
  std::uint64_t closed_max_lifetime = 0;
  std::uint64_t closed_unhealthy = 0;
  std::uint64_t discarded = 0;
  std::uint64_t failed_opens = 0;
};

template <class Connection>
class connection_pool {
  struct node final : detail::pooled {
    explicit node(Connection c) : connection(std::move(c)) {}
    Connection connection;
  };
  using core = detail::connection_pool_core;

 public:
  // A connection in use. Its end gives it back, also when an exception passes: whoever catches it must know whether a
  // transaction is still open; discard() if in doubt.
  class handle {
   public:
    handle() noexcept = default;  // of none
    handle(handle&& other) noexcept = default;
    handle& operator=(handle&& other) noexcept {
      handle old(std::move(*this));
      pool_ = std::move(other.pool_);
      node_ = std::move(other.node_);
      return *this;
    }
    ~handle() { release(); }

    Connection& operator*() const noexcept { return node_->connection; }
    Connection* operator->() const noexcept { return &node_->connection; }
    explicit operator bool() const noexcept { return node_ != nullptr; }

    // Gives the connection back now. Of none: nothing.
    void release() {
      if (node_ != nullptr) std::exchange(pool_, nullptr)->put(std::move(node_));
    }
    // Closes the connection instead: it is broken, or in a state that nobody knows. Of none: nothing.
    void discard() {
      if (node_ != nullptr) std::exchange(pool_, nullptr)->discard(std::move(node_));
    }

   private:
    friend class connection_pool;
    handle(std::shared_ptr<core> pool, std::unique_ptr<node> n) noexcept
        : pool_(std::move(pool)), node_(std::move(n)) {}

    std::shared_ptr<core> pool_;
    std::unique_ptr<node> node_;
  };

  // open(ctx) or open() returns result<Connection>; ctx is that of get(), which open should heed.
  // healthy(Connection&) is asked before a connection is used again; false: it is closed, and another one opened. Should they
  // throw, get() does, and the place is free.
  template <class Open>
  connection_pool(const connection_pool_options& limits, Open open)
      : core_(core::make(limits, opener(std::move(open)), nullptr)) {}
  template <class Open, std::predicate<Connection&> Healthy>
  connection_pool(const connection_pool_options& limits, Open open, Healthy healthy)
      : core_(core::make(limits, opener(std::move(open)),
                         [healthy = std::move(healthy)](detail::pooled& n) {
                           return bool(std::invoke(healthy, static_cast<node&>(n).connection));
                         })) {}
  connection_pool(const connection_pool&) = delete;
  connection_pool& operator=(const connection_pool&) = delete;
  ~connection_pool() { core_->close(); }

  // Errors: those of the context, those of opening, connection_pool_errc::closed.
  result<handle> get(const context& ctx = {}) {
    std::shared_ptr<core> pool = core_;  // it may end while we wait
    auto got = pool->get(ctx);
    if (!got) return std::unexpected(got.error());
    return handle(std::move(pool), std::unique_ptr<node>(static_cast<node*>(got->release())));
  }

  // Closes the idle connections, and sends away those who wait; connections in use are closed when they are given back. May
  // be called again.
  void close() { core_->close(); }

  connection_pool_stats stats() const { return core_->stats(); }

 private:
  template <class Open>
  static core::open_func opener(Open open) {
    return [open = std::move(open)](const context& ctx) -> core::opened {
      result<Connection> c = [&] {
        if constexpr (std::is_invocable_v<const Open&, const context&>) {
          return std::invoke(open, ctx);
        } else {
          return std::invoke(open);
        }
      }();
      if (!c) return std::unexpected(c.error());
      return std::make_unique<node>(std::move(*c));
    };
  }

  std::shared_ptr<core> core_;
};

}  // namespace runnel
