#include "runnel/http/client.h"

#include <tuple>

#include "net/http/client_connection.h"
#include "net/http/client_exchange.h"
#include "net/http/text.h"
#include "net/http/url.h"
#include "runnel/net/dial.h"
#include "runnel/select.h"
#include "runnel/time.h"
#if RUNNEL_HTTP2
#include "net/http2/client_session.h"
#include "net/http2/session_pool.h"
#endif

namespace runnel::http {
namespace {

constexpr std::size_t step = 16 << 10;
constexpr int refusals_max = 5;
constexpr duration refusal_pause = std::chrono::milliseconds(10);

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

}  // namespace

struct client::impl {
  explicit impl(const client_options& o)
      : options(o), pool(std::make_shared<connection_pool>(options)) {}

  result<std::unique_ptr<client_exchange>> exchange(const context& ctx, const client_request& req,
                                                    const url& to);
  client_attempt attempt(const context& ctx, const client_request& req, const url& to,
                         bool may_reuse);

  const client_options options;
  const std::shared_ptr<connection_pool> pool;
#if RUNNEL_HTTP2
  const std::shared_ptr<h2::session_pool> sessions = h2::session_pool::make(options);
#endif
};

struct client_response::impl {
  ~impl() {
    exchange.reset();
    cancel();
  }
  std::error_code reason(std::error_code why) const {
    std::error_code ended = ctx.err();
    return ended ? ended : why;
  }

  std::unique_ptr<client_exchange> exchange;
  context ctx;
  cancel_func cancel;  // of the timeout
  std::string url;
  std::uint64_t body_max = 0;
};

client_attempt client::impl::attempt(const context& ctx, const client_request& req, const url& to,
                                     bool may_reuse) {
  bool secure = to.scheme == "https";
  if (secure && !options.dial_tls) return {.why = errc::bad_url};
  std::optional<url> proxy;
  if (options.proxy_from_environment) proxy = proxy_of(to);
  std::string address = proxy ? proxy->address() : to.address();
  std::string key = (secure ? "https " : "http ") + address;
  auto dial = [&] {
    return secure ? options.dial_tls(ctx, address) : net::dial(ctx, "tcp", address);
  };
  net::conn made;
#if RUNNEL_HTTP2
  if (secure || (options.h2c && !proxy)) {
    auto found = sessions->take(ctx, key, may_reuse, dial);
    if (!found) return {.why = found.error()};
    if (found->session) return h2::exchange(*found, ctx, req, to, options);
    made = found->other;
  }
#endif
  std::unique_ptr<client_connection> kept;
  if (!made && may_reuse) kept = pool->take(key);
  if (!made && kept == nullptr) {
    auto dialed = dial();
    if (!dialed) return {.why = dialed.error()};
    made = std::move(*dialed);
#if RUNNEL_HTTP2
    // A server that has learned it since.
    if (made.protocol() == "h2") {
      return h2::exchange(sessions->adopt(key, made), ctx, req, to, options);
    }
#endif
  }
  if (kept == nullptr) {
    kept = std::make_unique<client_connection>(key, std::move(made));
    kept->secure = secure;
  }
  return exchange_http1(pool, std::move(kept), ctx, req, to, proxy.has_value(), options);
}

// One request and its answer's head. Where the server has not looked at it, tries again.
result<std::unique_ptr<client_exchange>> client::impl::exchange(const context& ctx,
                                                                const client_request& req,
                                                                const url& to) {
  bool may_reuse = true;
  duration pause = refusal_pause;
  for (int refusals = 0;;) {
    client_attempt now = attempt(ctx, req, to, may_reuse);
    if (now.made != nullptr) return std::move(now.made);
    if (std::error_code ended = ctx.err()) return std::unexpected(ended);
    if (now.looked_at == client_attempt::perhaps && may_reuse && is_idempotent(req)) {
      may_reuse = false;
      continue;
    }
    bool again = now.looked_at == client_attempt::no && !now.source_used;
    if (!again || refusals++ == refusals_max) return std::unexpected(now.why);
    // A server that refuses wants to be left alone for a while.
    if (refusals > 1) {
      if (select(recv(after(pause)), recv(ctx.done())) == 1) return std::unexpected(ctx.err());
      pause *= 2;
    }
  }
}

client::client(const client_options& options) : impl_(std::make_shared<impl>(options)) {}

void client::close_idle() const {
  impl_->pool->clear();
#if RUNNEL_HTTP2
  impl_->sessions->close_idle();
#endif
}

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
      auto made = std::make_unique<client_response::impl>();
      made->exchange = std::move(*answer);
      made->ctx = ctx;
      made->cancel = cancel;
      made->url = to->text();
      made->body_max = impl_->options.max_body_bytes;
      return client_response(std::move(made));
    }
    auto next = resolve_url(*to, location);
    if (!next || redirects == impl_->options.max_redirects) {
      answer->reset();
      cancel();
      return std::unexpected(next ? errc::too_many_redirects : errc::bad_url);
    }
    // A short body is read, so that the connection can be kept.
    char rest[2048];
    std::ignore = (*answer)->read(rest);
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

int client_response::status() const noexcept { return impl_->exchange->status; }
std::string_view client_response::header(std::string_view name) const noexcept {
  return impl_->exchange->fields.get(name);
}
const headers& client_response::headers() const noexcept { return impl_->exchange->fields; }
const std::string& client_response::url() const noexcept { return impl_->url; }
const headers& client_response::trailers() const noexcept { return impl_->exchange->trailers(); }

result<std::size_t> client_response::read(std::span<char> into) {
  auto n = impl_->exchange->read(into);
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
