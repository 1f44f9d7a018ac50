#pragma once
// A client of HTTP/1.1.
//
//   http::client c;
//   auto answer = c.get(ctx, "http://127.0.0.1:8080/items?n=3");
//   if (!answer) return answer.error();
//   if (answer->status() == 200) use(answer->body().value());

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

struct client_options {
  // Of a whole exchange, its body included; zero: none but the context's.
  duration timeout = duration::zero();
  // How long a connection is kept that nobody uses, how many to one host, and how many in all.
  duration idle_timeout = std::chrono::seconds(90);
  std::size_t max_idle_per_host = 16;
  std::size_t max_idle = 100;
  int max_redirects = 10;  // 0: the redirection is the answer
  std::size_t max_header_bytes = 256 << 10;
  std::uint64_t max_body_bytes = 64 << 20;  // of body(), not of read()
  // http_proxy and no_proxy, in small letters.
  bool proxy_from_environment = true;
  // For https: connects to "host:port". With net::dial_tls, of runnel::tls:
  //   [](const context& ctx, std::string_view to) { return net::dial_tls(ctx, "tcp", to); }
  // Without it, https is errc::bad_url.
  std::function<result<net::conn>(const context&, std::string_view address)> dial_tls = nullptr;
};

struct client_request {
  std::string method = "GET";
  std::string url;
  http::headers headers = {};
  std::string body = {};
  // Instead: gives the next bytes, 0 at the end. Goes in chunks unless its length is known. Cannot be sent twice.
  std::function<result<std::size_t>(std::span<char>)> body_source = nullptr;
  std::optional<std::uint64_t> body_length = {};
};

// The head has come; the body comes as it is read. A response that is dropped before its end closes its connection.
class client_response {
 public:
  client_response(client_response&&) noexcept;
  client_response& operator=(client_response&&) noexcept;
  ~client_response();

  int status() const noexcept;
  std::string_view header(std::string_view name) const noexcept;
  const http::headers& headers() const noexcept;
  // Where it came from, after redirections.
  const std::string& url() const noexcept;
  // The next bytes of the body; 0: the end.
  result<std::size_t> read(std::span<char> into);
  // What is left of the body. errc::too_large: more than max_body_bytes.
  result<std::string> body();
  // Known at the end of the body.
  const http::headers& trailers() const noexcept;

  struct impl;

 private:
  friend class client;
  explicit client_response(std::unique_ptr<impl> i) noexcept;
  std::unique_ptr<impl> impl_;
};

// Cheap to copy: copies share the connections that are kept. Any thread. A request that fails on a connection that was kept, before anything
// was answered, is sent again on a new one if it is idempotent.
class client {
 public:
  explicit client(const client_options& options = {});

  result<client_response> get(const context& ctx, std::string_view url) const;
  result<client_response> post(const context& ctx, std::string_view url,
                               std::string_view content_type, std::string_view body) const;
  // The context's end ends it, until the body has been read: the error is the context's then.
  result<client_response> do_(const context& ctx, client_request req) const;

  void close_idle() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace runnel::http
