#pragma once
// A client of HTTP/1.1 and, where Runnel is built with nghttp2, HTTP/2: where TLS chooses it, and by prior knowledge (h2c). Requests to
// one host then share a connection.
//
//   http::client c;
//   auto answer = c.get(ctx, "http://127.0.0.1:8080/items?n=3");
//   if (!answer) return answer.error();                          // nothing was answered
//   if (answer->status() == 200) use(answer->body().value());    // 404 and 500 are answers, too

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runnel/context.h"
#include "runnel/http/error.h"
#include "runnel/http/headers.h"
#include "runnel/net/conn.h"
#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel::http {

// Every field has a working default.
struct client_options {
  // Of a whole exchange, redirections and the body included; then context_errc::deadline_exceeded. Zero: none but the context's.
  duration timeout = duration::zero();
  // How long a connection is kept that nobody uses, how many to one host, and how many in all. Those in use are not limited.
  duration idle_timeout = std::chrono::seconds(90);
  std::size_t max_idle_per_host = 16;
  std::size_t max_idle = 100;
  int max_redirects = 10;  // one more is errc::too_many_redirects; 0: the redirection is the answer
  std::size_t max_header_bytes = 256 << 10;  // of an answer; more is errc::too_large
  std::uint64_t max_body_bytes = 64 << 20;   // of body(), not of read(); more is errc::too_large
  // http_proxy and no_proxy, in small letters. For https, and for this machine, none is used.
  bool proxy_from_environment = true;
  // For https: connects to "host:port". With net::dial_tls, of runnel::tls:
  //   [](const context& ctx, std::string_view to) { return net::dial_tls(ctx, "tcp", to); }
  // Without it, https is errc::bad_url. HTTP/2 is spoken if the handshake chooses it:
  //   net::dial_tls(ctx, "tcp", to, {.protocols = {"h2", "http/1.1"}})
  std::function<result<net::conn>(const context&, std::string_view address)> dial_tls = nullptr;
  // Of URLs with http: HTTP/2 from the beginning. Not through a proxy.
  bool h2c = false;
};

struct client_request {
  std::string method = "GET";  // any token
  std::string url;             // "http://example.org:8080/path?query"; see parse_url
  // Host and User-Agent are added where they are missing. Content-Length and Transfer-Encoding are left out: they are the body's.
  http::headers headers = {};
  std::string body = {};
  // Instead of body: puts the next bytes into the room it is given, and returns how many; 0: the end. Called within do_, by
  // the same goroutine. Its error ends the exchange, and is do_'s. Cannot be sent twice: neither to where a 307 or 308 leads,
  // which is the answer then, nor on a new connection.
  std::function<result<std::size_t>(std::span<char>)> body_source = nullptr;
  // What body_source gives in all; less is errc::ended_early, more errc::content_length. Unknown: it goes in chunks.
  std::optional<std::uint64_t> body_length = {};
};

// An answer: its head has come, its body comes as it is read. One goroutine at a time; views are valid while it lives. Dropped
// before the end of the body, it closes its connection, or by HTTP/2 resets its stream; after it, the connection is kept for
// others. Moved from, it may only be destroyed or assigned to.
class client_response {
 public:
  client_response(client_response&&) noexcept;
  client_response& operator=(client_response&&) noexcept;
  ~client_response();

  int status() const noexcept;
  // The first value of a field; "" where there is none.
  std::string_view header(std::string_view name) const noexcept;
  const http::headers& headers() const noexcept;
  // Where it came from, after redirections.
  const std::string& url() const noexcept;
  // The next bytes of the body, as soon as there are any; 0: the end, again and again. Errors: errc::ended_early, malformed;
  // the context's, once it has ended; those of the network.
  result<std::size_t> read(std::span<char> into);
  // What read() has left of the body, "" the second time. errc::too_large: more than max_body_bytes; otherwise as read().
  result<std::string> body();
  // What was sent behind a body in chunks. Known at its end; until then empty.
  const http::headers& trailers() const noexcept;

  struct impl;

 private:
  friend class client;
  explicit client_response(std::unique_ptr<impl> i) noexcept;
  std::unique_ptr<impl> impl_;
};

// Cheap to copy: copies share the connections that are kept. Any thread. A request that fails on a connection that was kept, before anything
// was answered, is sent again on a new one if it is idempotent; one that an HTTP/2 server has surely not looked at, in any case, unless its
// body comes from a source that has begun.
class client {
 public:
  explicit client(const client_options& options = {});

  // do_ with that method. A body's Content-Type is for the caller to say: "application/json".
  result<client_response> get(const context& ctx, std::string_view url) const;
  result<client_response> post(const context& ctx, std::string_view url,
                               std::string_view content_type, std::string_view body) const;
  // Sends the request, all of its body, then waits for the head of the answer: a goroutine parks, a plain thread blocks.
  // Redirections are followed (301, 302 and 303 with GET). The context's end ends it, until the body has been read: the error is
  // the context's then.
  //
  // Errors: errc::bad_url; malformed, of the method or the answer; too_large; ended_early: closed without an answer;
  // too_many_redirects; those of net::dial and of the connection.
  result<client_response> do_(const context& ctx, client_request req) const;

  // Closes the connections that are kept for later. Answers that are being read are not touched.
  void close_idle() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace runnel::http
