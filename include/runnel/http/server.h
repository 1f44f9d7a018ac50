#pragma once
// A server of HTTP/1.1 and, where Runnel is built with nghttp2, HTTP/2: over TLS if both ends choose it, and over plain
// connections to clients that begin with it ("prior knowledge").
//
//   http::server s;
//   s.handle("GET /hello/{name}", [](http::request& req, http::response& res) {
//     res.write("hello, " + req.path_value("name") + "\n");
//   });
//   auto listener = net::listen("tcp", ":8080");
//   auto why = s.serve(*listener);   // until s.shutdown(ctx): http::errc::server_closed

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "runnel/context.h"
#include "runnel/http/error.h"
#include "runnel/http/mux.h"
#include "runnel/http/request.h"
#include "runnel/http/response.h"
#include "runnel/net/conn.h"
#include "runnel/net/listener.h"

namespace runnel::http {

// Every field has a working default. A duration of zero: no limit.
struct server_options {
  // How long the head of a request may take, from its first byte or, of a connection's first, from the beginning. Then 408.
  duration read_header_timeout = std::chrono::seconds(10);
  // How long a whole request may take to arrive, from its head on. Then request::read fails with std::errc::timed_out.
  duration read_timeout = std::chrono::minutes(5);
  // How long a client may take for the next 256 KiB of an answer. Then the connection is closed.
  duration write_timeout = std::chrono::seconds(30);
  // How long a connection stays open for the next request.
  duration idle_timeout = std::chrono::minutes(2);
  // How long, from shutdown on, a connection without a request stays open for one more.
  duration drain_timeout = std::chrono::seconds(1);
  // More is answered with 431.
  std::size_t max_header_bytes = 64 << 10;
  // More is errc::too_large for request::read; request::body makes 413 of it.
  std::uint64_t max_body_bytes = 32 << 20;
  // HTTP/2: requests under way on one connection.
  std::uint32_t max_concurrent_streams = 250;
  // For https: makes of a connection that was accepted one that is secure. With net::tls_server, of runnel::tls:
  //   [tls](const net::conn& c) { return net::tls_server(c, tls); }
  // HTTP/2 is spoken if the handshake chooses it: tls_config{.protocols = {"h2", "http/1.1"}}.
  std::function<result<net::conn>(const net::conn&)> handshake = nullptr;
  // Gets what went wrong in handlers, with line ends; any thread, several at a time. Default: to standard error.
  std::function<void(std::string_view)> log = nullptr;
};

// Each connection has a goroutine, on which its requests run one after another; of HTTP/2, each on one of its own. handle and
// use: before serve. The others: any thread. What handlers refer to has to live as long as the server.
class server {
 public:
  explicit server(server_options options = {});
  // As close(); then waits for the handlers that are still running.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // See mux; it throws for patterns that are malformed or in conflict.
  void handle(std::string_view pattern, handler f);
  // Around everything; what was used first is outermost.
  void use(middleware m);

  // Accepts until shutdown or close, and then returns errc::server_closed, at once, while requests may be under way; or why the
  // listener failed. Takes over the listener, which shutdown and close then close. May be called for several, each on a
  // goroutine of its own.
  std::error_code serve(const net::listener& on);

  // Accepts who has connected already, and no more; lets requests finish until the context ends: no error; or then closes all
  // connections and returns the context's error. Every answer from then on says "Connection: close". May be called again, and
  // while serve was not called yet: it returns at once then. The server has to outlive it: the destructor closes.
  //
  // HTTP/1.1 cannot tell a client that its idle connection is about to be closed, except in an answer: a request that crosses with
  // the end of the connection fails. So idle connections are not closed at once; each may send one more request, and
  // gets its answer. One that stays silent for the drain_timeout is closed, as it would be after the idle_timeout, first in our
  // direction: a client that has just sent something finds an orderly end without an answer, after which it may try again elsewhere,
  // and no reset. How long clients may be silent before they must reckon with that is the drain_timeout's choice.
  std::error_code shutdown(const context& ctx);
  // Closes listeners and connections at once, and waits for nobody. Handlers find their context cancelled.
  void close();

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace runnel::http
