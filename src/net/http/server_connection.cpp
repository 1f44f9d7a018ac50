#include "net/http/server_connection.h"

#include <algorithm>
#include <tuple>

#include "runnel/go.h"

namespace runnel::http {
namespace {

constexpr std::size_t buffer_size = 4096;
constexpr std::size_t buffer_spare = 1024;  // for a body, besides the head
constexpr std::uint64_t drained_max = 256 << 10;
constexpr duration fresh_grace = std::chrono::seconds(1);
constexpr duration last_look = std::chrono::milliseconds(2);
constexpr duration linger_max = std::chrono::milliseconds(500);

time_point now() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace

server_connection::ending server_connection::run() {
  while (read_head()) {
    serve_one();
    if (!close_) continue;
    // Whoever does not expect the end may have sent more: a reset would destroy the answer.
    if (!broken_ && !head_.close && server_.draining.load()) linger();
    break;
  }
  if (preface_) return ending::preface;
  std::ignore = conn_.close();
  return ending::closed;
}

void server_connection::read_by(time_point when) noexcept {
  if (when == read_deadline_) return;
  read_deadline_ = when;
  conn_.set_read_deadline(when);
}

void server_connection::read_within(duration limit) noexcept {
  if (limit == duration::zero()) return read_by(time_point::max());
  // Moving a deadline costs more than being a little early.
  time_point when = now() + limit;
  if (read_deadline_ > when || read_deadline_ < when - limit / 16) read_by(when);
}

void server_connection::drain_locked() noexcept {
  state s = state_.load();
  if (s == state::active) return;
  time_point until = server_.idle_until;
  if (s == state::fresh) until = std::max(until, now() + fresh_grace);
  conn_.set_read_deadline(until);
}

bool server_connection::wait_for_request() {
  bool fresh = state_.load(std::memory_order_relaxed) == state::fresh;
  read_within(fresh ? server_.options.read_header_timeout : server_.options.idle_timeout);
  if (!fresh) state_.store(state::idle);
  if (server_.draining.load()) {
    std::lock_guard hold(server_.mu);
    drain_locked();
  }
  auto n = in_.fill();
  // What was sent before it was told to go is served.
  if (!n && server_.draining.load() && n.error() == net::errc::timed_out) {
    read_by(now() + last_look);
    n = in_.fill();
    if (!n) linger();
  }
  if (!n || *n == 0) return false;
  state_.store(state::active);
  if (server_.draining.load()) {
    std::lock_guard hold(server_.mu);
    read_deadline_ = time_point::min();  // it may have been moved
  }
  return true;
}

bool server_connection::read_head() {
  in_.compact(buffer_size);
  in_.reserve(buffer_size);
  if (in_.pending().empty() && !wait_for_request()) return false;
  head_scanner scanner(server_.options.max_header_bytes);
  bool timed = false;
  for (;;) {
    auto found = scanner.scan(in_.pending());
    if (found == head_scanner::state::complete) break;
    if (found == head_scanner::state::faulty) {
      reject(static_cast<int>(scanner.why()));
      return false;
    }
    if (!timed) read_within(server_.options.read_header_timeout);
    timed = true;
    if (in_.room() == 0) in_.reserve(2 * in_.pending().size());
    auto n = in_.fill();
    if (!n && n.error() == net::errc::timed_out) reject(408);
    if (!n || *n == 0) return false;
  }
  if (in_.room() < buffer_spare) in_.reserve(in_.pending().size() + buffer_spare);
  std::string_view text = in_.pending().substr(scanner.begin(), scanner.end() - scanner.begin());
#if RUNNEL_HTTP2
  // What follows, too, is of another protocol.
  if (first_ && text == "PRI * HTTP/2.0\r\n\r\n") {
    preface_ = true;
    return false;
  }
#endif
  first_ = false;
  in_.consume(scanner.end());
  in_.keep();
  if (fault why = parse_request(text, head_); why != fault::none) {
    reject(static_cast<int>(why));
    return false;
  }
  if (!request_access::describe(req_, head_, this)) {
    reject(400);
    return false;
  }
  return true;
}

// An answer before there is a request: then nothing more is understood.
void server_connection::reject(int status) {
  std::string text = std::to_string(status) + " " + std::string(status_text(status));
  std::string answer = "HTTP/1.1 " + text +
                       "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
                       "Content-Length: " +
                       std::to_string(text.size() + 1) + "\r\n\r\n" + text + "\n";
  std::string_view parts[] = {answer};
  if (!write(parts)) linger();
}

// The client may be writing yet: what it has not been told of would be lost in a reset.
void server_connection::linger() {
  std::ignore = conn_.close_write();
  time_point until = now() + linger_max;
  read_by(until);
  char unread[4096];
  while (now() < until) {
    auto n = conn_.read(unread);
    if (!n || *n == 0) break;
  }
}

void server_connection::serve_one() {
  if (server_.options.read_timeout != duration::zero() && (head_.chunked || head_.content_length)) {
    request_began_ = now();
  }
  close_ = head_.close || (head_.minor == 0 && !head_.keep_alive);
  continue_asked_ = head_.expect_continue && head_.minor == 1;
  body_timed_ = false;
  if (head_.chunked) {
    body_.start_chunked(server_.options.max_body_bytes);
  } else {
    body_.start_length(head_.content_length.value_or(0), server_.options.max_body_bytes);
  }
  response_access::reset(res_, this);
  call_handler();
  if (ctx_) {
    stop_watching();
    ctx_->cancel();
    ctx_.reset();
  }
  if (broken_ || !finish_body()) close_ = true;
}

void server_connection::call_handler() {
  if (!server_.answer(req_, res_, this)) broken_ = true;
  if (broken_) return;
  if (response_access::finish(res_)) broken_ = true;
}

// The next request begins after the body of this one. False: it cannot be had.
bool server_connection::finish_body() {
  if (body_.done()) return true;
  bool few = !body_.has_length() || body_.left() <= drained_max;
  if (!close_ && !body_.failed() && !continue_asked_ && few) {
    read_within(server_.options.read_header_timeout);
    char unread[2048];
    for (std::size_t all = 0; all < drained_max && !body_.done(); all += sizeof unread) {
      if (!body_.read(unread)) break;
    }
  }
  if (!body_.done()) linger();
  return body_.done();
}

// Before the body is read from the connection.
void server_connection::begin_body_read() {
  if (continue_asked_) {
    bool fits = !body_.has_length() || body_.left() <= server_.options.max_body_bytes;
    std::string_view parts[] = {"HTTP/1.1 100 Continue\r\n\r\n"};
    if (fits && in_.pending().empty() && !res_.head_sent()) std::ignore = write(parts);
    continue_asked_ = !fits;
  }
  if (body_timed_) return;
  body_timed_ = true;
  duration limit = server_.options.read_timeout;
  read_by(limit == duration::zero() ? time_point::max() : request_began_ + limit);
}

result<std::size_t> server_connection::read_body(std::span<char> into) {
  if (body_.done()) return 0;
  begin_body_read();
  auto n = body_.read(into);
  if (body_.done() && ctx_) watch();
  return n;
}

std::optional<std::string_view> server_connection::body_at_hand() {
  if (body_.done()) return std::string_view();
  std::uint64_t left = body_.left();
  if (!body_.has_length() || left > in_.room() + in_.pending().size()) return {};
  if (in_.pending().size() < left) begin_body_read();
  while (in_.pending().size() < left) {
    auto n = in_.fill();
    if (!n || *n == 0) return {};  // the next read fails, too
  }
  auto body = body_.take_pending();
  if (body && ctx_) watch();
  return body;
}

context server_connection::request_context() {
  if (!ctx_) {
    ctx_ = with_cancel(background());
    if (broken_) ctx_->cancel();
    watch();
  }
  return ctx_->ctx;
}

void server_connection::watch() {
  if (watching_ || broken_ || !body_.done() || in_.room() == 0) return;
  watching_ = true;
  read_by(time_point::max());
  watcher_.go([this, cancel = ctx_->cancel] {
    auto n = in_.fill();
    bool stopped = !n && n.error() == net::errc::timed_out;
    bool more = n && *n != 0;  // the next request
    if (!stopped && !more) cancel();
  });
}

void server_connection::stop_watching() {
  if (!watching_) return;
  read_by(time_point::min());
  watcher_.wait();
  watching_ = false;
}

}  // namespace runnel::http
