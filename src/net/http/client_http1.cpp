// Requests of HTTP/1.1.

#include <array>
#include <cstdio>
#include <tuple>

#include "net/http/client_exchange.h"
#include "net/http/text.h"

namespace runnel::http {
namespace {

constexpr std::size_t step = 16 << 10;

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

class exchange final : public client_exchange {
 public:
  exchange(std::shared_ptr<connection_pool> pool, std::unique_ptr<client_connection> over,
           const context& ctx)
      : pool_(std::move(pool)), connection_(std::move(over)) {
    if (ctx.node() == nullptr) return;
    // From here on the context's end cuts the connection off.
    stop_ = after_func(ctx, [c = connection_->conn] { c.set_deadline(time_point::min()); });
    guarded_ = true;
  }
  ~exchange() override {
    // What has begun to stop the connection may not hit its next user.
    bool whole = !guarded_ || stop_();
    if (whole && connection_->body.done() && connection_->reusable &&
        connection_->in.pending().empty()) {
      pool_->put(std::move(connection_));
    }
  }
  result<std::size_t> read(std::span<char> into) override { return connection_->body.read(into); }
  const headers& trailers() const noexcept override { return connection_->body.trailers(); }

 private:
  std::shared_ptr<connection_pool> pool_;
  std::unique_ptr<client_connection> connection_;
  stop_func stop_;
  bool guarded_ = false;
};

}  // namespace

client_attempt exchange_http1(std::shared_ptr<connection_pool> pool,
                              std::unique_ptr<client_connection> over, const context& ctx,
                              const client_request& req, const url& to, bool by_proxy,
                              const client_options& options) {
  client_connection& c = *over;
  auto made = std::make_unique<exchange>(std::move(pool), std::move(over), ctx);
  c.reusable = false;  // until its answer is there
  std::error_code unsent = send(c.conn, req, to, by_proxy);
  // A server may answer before it has read everything, and close.
  std::error_code why = c.read_head(options.max_header_bytes);
  if (why) {
    bool perhaps = c.reused && c.silent;
    return {.why = unsent ? unsent : why,
            .looked_at = perhaps ? client_attempt::perhaps : client_attempt::yes};
  }
  c.start_body(req.method == "HEAD");
  c.reusable &= !unsent;
  made->status = c.head.status;
  for (const field& f : c.head.fields) made->fields.add(f.name, f.value);
  return {.made = std::move(made)};
}

}  // namespace runnel::http
