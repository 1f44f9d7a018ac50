#pragma once
// What a server's connections share.
//
// draining is set under the lock, before connections are told; a connection that turns active while draining goes through
// the lock, so that nobody cuts it off by mistake afterwards.

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "runnel/http/server.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"

namespace runnel::http {

// A connection, as the server's others see it. In the server's list until it ends.
class served_connection {
 public:
  // Under the server's lock: it shall end once its requests have.
  virtual void drain_locked() noexcept = 0;
  virtual void close() noexcept = 0;

  served_connection* prev = nullptr;
  served_connection* next = nullptr;

 protected:
  ~served_connection() = default;
};

struct server_core {
  explicit server_core(server_options o) : options(std::move(o)) {}

  void add(served_connection& c);  // the connection's goroutine
  void remove(served_connection& c);
  // All that is done for a connection that was accepted.
  void serve(const net::conn& accepted);
  // Calls the handlers. What they throw becomes an answer, in `sink`; false: the answer is to be cut off.
  bool answer(request& req, response& res, detail::response_sink* sink);
  // A line of the log, and the stack where it is known.
  void log(std::string_view line, const std::exception_ptr& thrown) const;

  const server_options options;
  mux routes;
  std::vector<middleware> around;
  handler root;  // set by serve

  mutex mu;
  std::atomic<bool> draining{false};
  bool closed = false;
  time_point idle_until{};  // set with draining: how long idle connections may stay
  std::vector<net::listener> listeners;
  served_connection* first = nullptr;
  wait_group running;  // connections, and accepting them

 private:
  bool answer_exception(const request& req, response& res, detail::response_sink* sink,
                        const std::exception_ptr& thrown);
};

// Its place in the list.
class place_in_list {
 public:
  place_in_list(server_core& core, served_connection& c) : core_(core), c_(c) { core_.add(c_); }
  ~place_in_list() { core_.remove(c_); }
  place_in_list(const place_in_list&) = delete;
  place_in_list& operator=(const place_in_list&) = delete;

 private:
  server_core& core_;
  served_connection& c_;
};

}  // namespace runnel::http
