#include "runnel/http/client.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "net/http/client_connection.h"
#include "net/http/text.h"
#include "net/http/url.h"
#include "runnel/net/dial.h"

namespace runnel::http {
namespace {

constexpr std::size_t step = 16 << 10;

bool is_idempotent(const client_request& req) noexcept {
  if (req.body_source) return false;
  for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    if (req.method == method) return true;
  }
  return req.headers.contains("Idempotency-Key");
}

bool is_redirect(int status) noexcept {
  return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

std::string head_of(const client_request& req, const url& to, bool by_proxy) {
  std::string text = req.method + " " + (by_proxy ? to.text() : to.target) + " HTTP/1.1\r\n";
  auto put = [&](std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
  };
  if (!req.headers.contains("Host")) put("Host", to.authority());
  if (!req.headers.contains("User-Agent")) put("User-Agent", "runnel");
  for (const auto& one : req.headers) {
    // The body's are this function's matter.
    if (same_name(one.name, "Content-Length") || same_name(one.name, "Transfer-Encoding")) continue;
    put(one.name, one.value);
  }
  if (req.body_source && !req.body_length) {
    put("Transfer-Encoding", "chunked");
  } else if (req.body_source) {
    put("Content-Length", std::to_string(*req.body_length));
  } else if (!req.body.empty() || req.method == "POST" || req.method == "PUT" ||
             req.method == "PATCH") {
    put("Content-Length", std::to_string(req.body.size()));
  }
  return text + "\r\n";
}

std::error_code write(const net::conn& to, std::initializer_list<std::string_view> parts) {
  std::array<std::span<const std::byte>, 3> pieces;
  std::size_t count = 0;
  for (std::string_view part : parts) pieces[count++] = std::as_bytes(std::span(part));
  auto n = to.write_parts(std::span(pieces.data(), count));
  return n ? std::error_code() : n.error();
}

// A body that is not given to its end leaves nothing to wait for: the server would wait for the rest.
std::error_code give_up(const net::conn& to, std::error_code why) {
  std::ignore = to.close();
  return why;
}

std::error_code send_source(const net::conn& to, const client_request& req) {
  std::string piece(step, '\0');
  std::uint64_t sent = 0;
  for (;;) {
    auto n = req.body_source(piece);
    if (!n) return give_up(to, n.error());
    std::string_view part(piece.data(), *n);
    sent += part.size();
    if (req.body_length) {
      if (sent > *req.body_length) return give_up(to, errc::content_length);
      if (part.empty() && sent < *req.body_length) return give_up(to, errc::ended_early);
      if (part.empty()) return {};
      if (std::error_code why = write(to, {part})) return why;
      continue;
    }
    char size[24];
    auto length = std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    if (std::error_code why =
            write(to, {std::string_view(size, static_cast<std::size_t>(length)), part, "\r\n"})) {
      return why;
    }
    if (part.empty()) return {};
  }
}

std::error_code send(const net::conn& to, const client_request& req, const url& where,
                     bool by_proxy) {
  std::string head = head_of(req, where, by_proxy);
  if (!req.body_source) return write(to, {head, req.body});
  if (std::error_code why = write(to, {head})) return why;
  return send_source(to, req);
}

}  // namespace

struct client::impl {
  explicit impl(const client_options& o)
      : options(o), pool(std::make_shared<connection_pool>(options)) {}

  result<std::unique_ptr<client_response::impl>> exchange(const context& ctx,
                                                          const client_request& req, const url& to);

  const client_options options;
  const std::shared_ptr<connection_pool> pool;
};

struct client_response::impl {
  ~impl() {
    // What has begun to stop the connection may not hit its next user.
    bool whole = interrupt();
    if (whole && connection != nullptr && connection->body.done() && connection->reusable &&
        connection->in.pending().empty()) {
      pool->put(std::move(connection));
    }
    cancel();
  }

  // From here on the context's end cuts the connection off.
  void guard(const context& c) {
    ctx = c;
    if (c.node() == nullptr) return;
    stop = after_func(c, [conn = connection->conn] { conn.set_deadline(time_point::min()); });
    guarded = true;
  }
  // False: it has been cut off.
  bool interrupt() {
    if (!guarded) return true;
    guarded = false;
    return stop();
  }
  std::error_code reason(std::error_code why) const {
    std::error_code ended = ctx.err();
    return ended ? ended : why;
  }

  std::shared_ptr<connection_pool> pool;
  std::unique_ptr<client_connection> connection;
  context ctx;
  cancel_func cancel;  // of the timeout
  stop_func stop;
  bool guarded = false;
  int status = 0;
  http::headers fields;
  std::string url;
  std::uint64_t body_max = 0;
};

// One request and its answer's head. On a connection that was kept and turns out to be closed, tries a new one.
result<std::unique_ptr<client_response::impl>> client::impl::exchange(const context& ctx,
                                                                      const client_request& req,
                                                                      const url& to) {
  bool secure = to.scheme == "https";
  if (secure && !options.dial_tls) return std::unexpected(errc::bad_url);
  std::optional<url> proxy;
  if (options.proxy_from_environment) proxy = proxy_of(to);
  std::string address = proxy ? proxy->address() : to.address();
  std::string key = (secure ? "https " : "http ") + address;
  for (bool may_reuse = true;; may_reuse = false) {
    auto made = std::make_unique<client_response::impl>();
    made->pool = pool;
    made->body_max = options.max_body_bytes;
    if (may_reuse) made->connection = pool->take(key);
    if (made->connection == nullptr) {
      auto dialed = secure ? options.dial_tls(ctx, address) : net::dial(ctx, "tcp", address);
      if (!dialed) {
        std::error_code ended = ctx.err();
        return std::unexpected(ended ? ended : dialed.error());
      }
      made->connection = std::make_unique<client_connection>(key, std::move(*dialed));
      made->connection->secure = secure;
    }
    client_connection& c = *made->connection;
    made->guard(ctx);
    c.reusable = false;  // until its answer is there
    std::error_code unsent = send(c.conn, req, to, proxy.has_value());
    // A server may answer before it has read everything, and close.
    std::error_code why = c.read_head(options.max_header_bytes);
    if (!why) {
      c.start_body(req.method == "HEAD");
      c.reusable &= !unsent;
      made->status = c.head.status;
      for (const field& f : c.head.fields) made->fields.add(f.name, f.value);
      made->url = to.text();
      return made;
    }
    if (ctx.err()) return std::unexpected(ctx.err());
    if (c.reused && c.silent && is_idempotent(req)) continue;
    return std::unexpected(unsent ? unsent : why);
  }
}

client::client(const client_options& options) : impl_(std::make_shared<impl>(options)) {}

void client::close_idle() const { impl_->pool->clear(); }

result<client_response> client::get(const context& ctx, std::string_view url) const {
  client_request req;
  req.url = url;
  return do_(ctx, std::move(req));
}

result<client_response> client::post(const context& ctx, std::string_view url,
                                     std::string_view content_type, std::string_view body) const {
  client_request req{.method = "POST", .url = std::string(url), .body = std::string(body)};
  req.headers.set("Content-Type", content_type);
  return do_(ctx, std::move(req));
}

result<client_response> client::do_(const context& parent, client_request req) const {
  if (!is_token(req.method)) return std::unexpected(errc::malformed);
  auto to = parse_url(req.url);
  if (!to) return std::unexpected(errc::bad_url);
  context ctx = parent;
  cancel_func cancel;
  if (impl_->options.timeout != duration::zero()) {
    auto limited = with_timeout(parent, impl_->options.timeout);
    ctx = limited.ctx;
    cancel = limited.cancel;
  }
  for (int redirects = 0;; ++redirects) {
    auto answer = impl_->exchange(ctx, req, *to);
    if (!answer) {
      cancel();
      return std::unexpected(answer.error());
    }
    int status = (*answer)->status;
    std::string location((*answer)->fields.get("Location"));
    bool same_method = status == 307 || status == 308;
    if (!is_redirect(status) || location.empty() || impl_->options.max_redirects == 0 ||
        (same_method && req.body_source)) {
      (*answer)->cancel = cancel;
      return client_response(std::move(*answer));
    }
    auto next = resolve_url(*to, location);
    if (!next || redirects == impl_->options.max_redirects) {
      answer->reset();
      cancel();
      return std::unexpected(next ? errc::too_many_redirects : errc::bad_url);
    }
    // A short body is read, so that the connection can be kept.
    char rest[2048];
    std::ignore = (*answer)->connection->body.read(rest);
    if (!same_method && req.method != "GET" && req.method != "HEAD") {
      req.method = "GET";
      req.body.clear();
      req.body_source = nullptr;
      req.headers.erase("Content-Type");
    }
    req.headers.erase("Host");
    if (next->host != to->host || next->port != to->port || next->scheme != to->scheme) {
      for (const char* secret : {"Authorization", "Cookie", "Proxy-Authorization"}) {
        req.headers.erase(secret);
      }
    }
    to = std::move(next);
  }
}

client_response::client_response(std::unique_ptr<impl> i) noexcept : impl_(std::move(i)) {}
client_response::client_response(client_response&&) noexcept = default;
client_response& client_response::operator=(client_response&&) noexcept = default;
client_response::~client_response() = default;

int client_response::status() const noexcept { return impl_->status; }
std::string_view client_response::header(std::string_view name) const noexcept {
  return impl_->fields.get(name);
}
const headers& client_response::headers() const noexcept { return impl_->fields; }
const std::string& client_response::url() const noexcept { return impl_->url; }
const headers& client_response::trailers() const noexcept {
  return impl_->connection->body.trailers();
}

result<std::size_t> client_response::read(std::span<char> into) {
  auto n = impl_->connection->body.read(into);
  if (!n) return std::unexpected(impl_->reason(n.error()));
  return n;
}

result<std::string> client_response::body() {
  std::string all;
  for (;;) {
    std::size_t size = all.size();
    result<std::size_t> n = 0;
    all.resize_and_overwrite(size + step, [&](char* at, std::size_t) {
      n = read(std::span(at + size, step));
      return size + n.value_or(0);
    });
    if (!n) return std::unexpected(n.error());
    if (*n == 0) return all;
    if (all.size() > impl_->body_max) return std::unexpected(errc::too_large);
  }
}

}  // namespace runnel::http
