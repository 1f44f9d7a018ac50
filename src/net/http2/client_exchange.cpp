// One request of a client over HTTP/2.

#include <optional>

#include "net/http2/client_session.h"
#include "net/http2/session_pool.h"
#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr std::size_t step = 16 << 10;

class exchange_over final : public client_exchange {
 public:
  exchange_over(std::shared_ptr<client_session> session, client_stream* s, const context& ctx)
      : session_(std::move(session)), stream_(s) {
    if (ctx.node() == nullptr) return;
    stop_ = after_func(ctx, [over = session_, id = s->id, ctx] { over->cancel(id, ctx.err()); });
  }
  ~exchange_over() override {
    stop_();
    session::entry e(*session_);
    if (stream_->open && !stream_->why) {
      session_->reset_locked(*stream_, NGHTTP2_CANCEL, errc::stream_reset);
    }
    stream_->discard_input_locked();
    session_->release_locked(*stream_);
  }
  result<std::size_t> read(std::span<char> into) override {
    session::entry e(*session_);
    auto n = stream_->read_locked(e, into, time_point::max());
    if (n && *n == 0 && trailers_.empty()) trailers_ = stream_->trailers;
    return n;
  }
  const headers& trailers() const noexcept override { return trailers_; }

  // All of the body, or until the server wants no more of it. An error: the source's.
  std::error_code send(const client_request& req, bool& source_used);
  std::error_code wait_for_head();
  bool refused() const {
    session::entry e(*session_);
    return stream_->refused();
  }

 private:
  // False: no more is wanted.
  bool write(std::string_view data) {
    session::entry e(*session_);
    return !stream_->write_locked(e, data, duration::zero());
  }

  const std::shared_ptr<client_session> session_;
  client_stream* const stream_;
  stop_func stop_;
  headers trailers_;
};

std::error_code exchange_over::send(const client_request& req, bool& source_used) {
  if (!req.body_source) {
    if (req.body.empty() || !write(req.body)) return {};
  } else {
    std::string piece(step, '\0');
    std::uint64_t sent = 0;
    for (;;) {
      source_used = true;
      auto n = req.body_source(piece);
      if (!n) return n.error();
      sent += *n;
      if (req.body_length && sent > *req.body_length) return errc::content_length;
      if (*n == 0) break;
      if (!write({piece.data(), *n})) return {};
    }
    if (req.body_length && sent != *req.body_length) return errc::ended_early;
  }
  session::entry e(*session_);
  stream_->end_output_locked(nullptr);
  return {};
}

std::error_code exchange_over::wait_for_head() {
  session::entry e(*session_);
  while (!stream_->answered) {
    if (stream_->why) return stream_->why;
    stream_->readable.wait(e, time_point::max());
  }
  status = stream_->status;
  fields = stream_->fields;
  return {};
}

}  // namespace

client_attempt exchange(const route& over, const context& ctx, const client_request& req,
                        const url& to, const client_options&) {
  std::vector<nghttp2_nv> pairs;
  std::string target = to.target;
  std::string authority(req.headers.contains("Host") ? req.headers.get("Host")
                                                     : std::string_view(to.authority()));
  pairs.push_back(pair_of(":method", req.method));
  pairs.push_back(pair_of(":scheme", to.scheme));
  pairs.push_back(pair_of(":authority", authority));
  pairs.push_back(pair_of(":path", target));
  if (!req.headers.contains("User-Agent")) pairs.push_back(pair_of("user-agent", "runnel"));
  for (const auto& one : req.headers) {
    bool own = same_name(one.name, "Host") || same_name(one.name, "Content-Length") ||
               is_of_connection(one.name);
    if (same_name(one.name, "TE") && !same_name(one.value, "trailers")) own = true;
    if (!own) pairs.push_back(pair_of(one.name, one.value));
  }
  bool with_body = req.body_source || !req.body.empty();
  std::optional<std::uint64_t> length;
  if (req.body_source) {
    length = req.body_length;
  } else if (with_body || req.method == "POST" || req.method == "PUT" || req.method == "PATCH") {
    length = req.body.size();
  }
  std::string size = std::to_string(length.value_or(0));
  if (length) pairs.push_back(pair_of("content-length", size));

  client_stream* s = over.session->open(pairs, with_body);
  auto made = std::make_unique<exchange_over>(over.session, s, ctx);
  client_attempt what;
  what.why = made->send(req, what.source_used);
  if (what.why) return what;
  what.why = made->wait_for_head();
  if (!what.why) {
    what.made = std::move(made);
  } else if (made->refused()) {
    what.looked_at = client_attempt::no;
  } else if (over.reused && what.why != errc::stream_reset && what.why != errc::malformed) {
    what.looked_at = client_attempt::perhaps;
  }
  return what;
}

}  // namespace runnel::http::h2
