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

class server_connection;

struct server_core {
  explicit server_core(server_options o) : options(std::move(o)) {}

  void add(server_connection& c);  // the connection's goroutine
  void remove(server_connection& c);
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
  server_connection* first = nullptr;
  wait_group running;  // connections, and accepting them
};

}  // namespace runnel::http
