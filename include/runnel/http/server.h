#pragma once
// A server of HTTP/1.1.
//
//   http::server s;
//   s.handle("GET /hello/{name}", [](http::request& req, http::response& res) {
//     res.write("hello, " + req.path_value("name") + "\n");
//   });
//   auto listener = net::listen("tcp", ":8080");
//   auto why = s.serve(*listener);   // until s.shutdown(ctx): http::errc::server_closed

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "runnel/context.h"
#include "runnel/http/error.h"
#include "runnel/http/mux.h"
#include "runnel/http/request.h"
#include "runnel/http/response.h"
#include "runnel/net/listener.h"

namespace runnel::http {

// Every field has a working default. A duration of zero: no limit.
struct server_options {
  // How long the head of a request may take, from its first byte or, of a connection's first, from the beginning.
  duration read_header_timeout = std::chrono::seconds(10);
  // How long a whole request may take to arrive.
  duration read_timeout = std::chrono::minutes(5);
  // How long a client may take for the next 256 KiB of an answer.
  duration write_timeout = std::chrono::seconds(30);
  // How long a connection stays open for the next request.
  duration idle_timeout = std::chrono::minutes(2);
  std::size_t max_header_bytes = 64 << 10;
  std::uint64_t max_body_bytes = 32 << 20;
  // Lines about what went wrong in handlers; default: to standard error.
  std::function<void(std::string_view)> log = nullptr;
};

// Each request runs on its connection's goroutine. handle and use: before serve. The others: any thread.
class server {
 public:
  explicit server(server_options options = {});
  // As close(); then waits for the handlers.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // See mux.
  void handle(std::string_view pattern, handler f);
  // Around everything; what was used first is outermost.
  void use(middleware m);

  // Accepts until shutdown or close, and then answers errc::server_closed, at once; or why the listener failed. Takes over
  // the listener. May be called for several.
  std::error_code serve(const net::listener& on);

  // Accepts who has connected already, and no more; closes connections without a request, and waits for the others until
  // the context ends; then closes them and answers the context's error. Their last answers say "Connection: close".
  std::error_code shutdown(const context& ctx);
  // At once. Handlers find their context cancelled.
  void close();

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace runnel::http
