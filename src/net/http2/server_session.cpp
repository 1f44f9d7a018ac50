#include "net/http2/server_session.h"

#include <algorithm>

#include "runnel/go.h"
#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr windows open_for{.of_stream = 256 << 10, .of_connection = 1 << 20};
constexpr std::size_t spares_max = 16;
constexpr double resets_max = 200;        // at once
constexpr double resets_per_second = 50;  // for long
constexpr duration grace = std::chrono::seconds(1);
// A client that is told of the answer, and to stop sending, in one breath may forget the answer, as curl does.
constexpr duration early_grace = std::chrono::milliseconds(500);

time_point now() noexcept { return std::chrono::steady_clock::now(); }

time_point after(time_point t, duration limit) noexcept {
  return limit == duration::zero() ? time_point::max() : t + limit;
}

}  // namespace

server_session::server_session(server_core& server, const net::conn& c)
    : session(role::server, c, server.options.read_header_timeout, server.options.write_timeout),
      server_(server),
      began_(now()),
      allowance_(resets_max),
      counted_at_(began_) {
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server.options.max_concurrent_streams},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(std::min<std::size_t>(
                                                  server.options.max_header_bytes, UINT32_MAX))},
      // What RFC 7540 had of priorities nobody follows any more.
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  begin(settings, open_for);
}

server_session::~server_session() {
  while (spare_ != nullptr) delete std::exchange(spare_, spare_->waiting);
}

void server_session::run(std::string_view begun) {
  if (server_.draining.load()) drain_locked();
  read_all(begun);
  {
    entry e(*this);
    // Whose handler has not begun never will.
    while (first_waiting_ != nullptr) {
      server_stream* s = std::exchange(first_waiting_, first_waiting_->waiting);
      release_locked(*s);
    }
    last_waiting_ = nullptr;
  }
  end();
  handlers_.wait();
}

void server_session::drain_locked() noexcept {
  entry e(*this);
  if (draining_ || broken_) return;
  goodbye_locked();
}

void server_session::goodbye_locked() noexcept {
  if (draining_) return;
  draining_ = true;
  draining_since_ = now();
  nghttp2_submit_shutdown_notice(native_);
  look_by_locked(draining_since_ + grace);
}

void server_session::last_goodbye_locked() noexcept {
  if (last_said_ || terminated_) return;
  last_said_ = true;
  nghttp2_submit_goaway(native_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(native_), NGHTTP2_NO_ERROR, nullptr,
                        0);
}

stream* server_session::begins_locked(std::int32_t) {
  if (spare_ == nullptr) return new server_stream(*this);
  --spares_;
  server_stream* s = std::exchange(spare_, spare_->waiting);
  s->waiting = nullptr;
  return s;
}

void server_session::dispose_locked(stream& s) noexcept {
  auto& mine = static_cast<server_stream&>(s);
  if (spares_ == spares_max) {
    delete &mine;
    return;
  }
  mine.clear_locked();
  mine.waiting = std::exchange(spare_, &mine);
  ++spares_;
}

void server_session::head_complete_locked(server_stream& s) {
  s.held = true;
  if (running_ < server_.options.max_concurrent_streams) return begin_locked(s);
  (last_waiting_ != nullptr ? last_waiting_->waiting : first_waiting_) = &s;
  last_waiting_ = &s;
}

void server_session::begin_locked(server_stream& s) {
  s.begun = true;
  ++running_;
  handlers_.add(1);
  start_later_locked(s);
}

void server_session::start_stream(stream& s) {
  go([this, one = &static_cast<server_stream&>(s)] {
    // Also when the handler ends its goroutine.
    struct handling {
      server_session& self;
      server_stream& s;
      ~handling() { self.handled(s); }
    } until_end{*this, *one};
    one->serve();
  });
}

void server_session::handled(server_stream& s) {
  {
    entry e(*this);
    --running_;
    release_locked(s);
    if (server_stream* following = first_waiting_; following != nullptr && !broken_) {
      first_waiting_ = following->waiting;
      if (first_waiting_ == nullptr) last_waiting_ = nullptr;
      following->waiting = nullptr;
      begin_locked(*following);
    }
  }
  handlers_.done();
}

void server_session::closed_locked(stream& s) {
  auto& mine = static_cast<server_stream&>(s);
  if (!mine.held || mine.begun) return;
  server_stream* before = nullptr;
  for (server_stream* w = first_waiting_; w != &mine; w = w->waiting) before = w;
  (before != nullptr ? before->waiting : first_waiting_) = mine.waiting;
  if (last_waiting_ == &mine) last_waiting_ = before;
  mine.waiting = nullptr;
  mine.held = false;
}

void server_session::count_reset_locked() noexcept {
  time_point t = now();
  double passed = std::chrono::duration<double>(t - counted_at_).count();
  counted_at_ = t;
  allowance_ = std::min(resets_max, allowance_ + passed * resets_per_second) - 1;
  if (allowance_ < 0) terminate_locked(NGHTTP2_ENHANCE_YOUR_CALM);
}

void server_session::came_locked(const nghttp2_frame& f) {
  switch (f.hd.type) {
    case NGHTTP2_SETTINGS: greeted_ = true; break;
    case NGHTTP2_RST_STREAM:
      count_reset_locked();
      if (void* s = nghttp2_session_get_stream_user_data(native_, f.hd.stream_id)) {
        static_cast<stream*>(s)->reset_there = true;
      }
      break;
    case NGHTTP2_PING:
      if (draining_ && (f.hd.flags & NGHTTP2_FLAG_ACK) != 0) last_goodbye_locked();
      break;
    default: break;
  }
}

void server_session::sent_locked(const nghttp2_frame& f) {
  auto* s = static_cast<stream*>(nghttp2_session_get_stream_user_data(native_, f.hd.stream_id));
  if (f.hd.type == NGHTTP2_RST_STREAM) {
    bool own = f.rst_stream.error_code == NGHTTP2_NO_ERROR || (s != nullptr && s->reset_here);
    if (!own) count_reset_locked();
    return;
  }
  if (f.hd.type == NGHTTP2_GOAWAY && draining_ && !last_said_) {
    nghttp2_submit_ping(native_, NGHTTP2_FLAG_NONE, nullptr);
  }
  bool body = f.hd.type == NGHTTP2_DATA || f.hd.type == NGHTTP2_HEADERS;
  if (s == nullptr || !body || (f.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  if (s->input_ended) return;
  s->answered_early = true;
  s->progress = now();
  look_by_locked(s->progress + early_grace);
}

void server_session::unsent_locked(const nghttp2_frame& f) {
  if (f.hd.type != NGHTTP2_HEADERS) return;
  auto* s = static_cast<stream*>(nghttp2_session_get_stream_user_data(native_, f.hd.stream_id));
  if (s != nullptr) reset_locked(*s, NGHTTP2_INTERNAL_ERROR, errc::too_large);
}

time_point server_session::look_locked(time_point t) {
  const server_options& o = server_.options;
  time_point next = time_point::max();
  // Something is to happen at `when`.
  auto due = [&](time_point when) {
    if (when <= t) return true;
    next = std::min(next, when);
    return false;
  };
  if (!greeted_ && due(after(began_, o.read_header_timeout))) {
    terminate_locked(NGHTTP2_NO_ERROR);
  }
  if (head_since_ != time_point::max() && due(after(head_since_, o.read_header_timeout))) {
    terminate_locked(NGHTTP2_ENHANCE_YOUR_CALM);
  }
  if (draining_ && !last_said_ && due(draining_since_ + grace)) last_goodbye_locked();
  if (open_ == 0) {
    if (due(after(idle_since_, o.idle_timeout))) terminate_locked(NGHTTP2_NO_ERROR);
    return next;
  }
  for (stream* s = streams_; s != nullptr; s = s->next) {
    if (!s->open || s->why) continue;
    // The answer is there: the client need not send the rest.
    if (s->answered_early && !s->input_ended && due(s->progress + early_grace)) {
      s->reset_here = true;
      s->answered_early = false;
      nghttp2_submit_rst_stream(native_, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    }
    // What its handler has left behind, the client does not take.
    bool left = s->output_ended && s->has_output();
    if (left && due(after(s->progress, o.write_timeout))) {
      reset_locked(*s, NGHTTP2_CANCEL, std::make_error_code(std::errc::timed_out));
    }
  }
  due(after(t, o.idle_timeout));
  due(after(t, o.write_timeout));
  return next;
}

std::string_view server_session::date_locked() {
  std::time_t second = std::time(nullptr);
  if (second != date_of_) {
    date_of_ = second;
    write_date(second, date_.data());
  }
  return {date_.data(), date_size};
}

}  // namespace runnel::http::h2
