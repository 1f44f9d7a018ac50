#include "net/http2/session.h"

#include <algorithm>
#include <new>

#include "net/http2/callbacks.h"
#include "net/http2/stream.h"
#include "runnel/go.h"
#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr std::size_t read_size = 16 << 10;
constexpr std::size_t batch = 64 << 10;      // written by one call
constexpr std::size_t kept_max = 16 << 10;   // memory that an idle session keeps
constexpr std::size_t head_max = 256 << 10;  // of fields that are sent
constexpr duration linger_max = std::chrono::milliseconds(500);

time_point now() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace

session::session(role who, net::conn c, duration head_timeout, duration write_timeout)
    : conn_(std::move(c)),
      head_timeout_(head_timeout),
      write_timeout_(write_timeout),
      idle_since_(now()) {
  nghttp2_option* o = nullptr;
  if (nghttp2_option_new(&o) != 0) throw std::bad_alloc();
  nghttp2_option_set_no_auto_window_update(o, 1);
  nghttp2_option_set_no_closed_streams(o, 1);
  nghttp2_option_set_max_send_header_block_length(o, head_max);
  int made = who == role::server
                 ? nghttp2_session_server_new2(&native_, callbacks::table(), this, o)
                 : nghttp2_session_client_new2(&native_, callbacks::table(), this, o);
  nghttp2_option_del(o);
  if (made != 0) throw std::bad_alloc();
}

session::~session() { nghttp2_session_del(native_); }

void session::begin(std::span<const nghttp2_settings_entry> settings, const windows& w) {
  entry e(*this);
  std::vector<nghttp2_settings_entry> all(settings.begin(), settings.end());
  all.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(w.of_stream)});
  nghttp2_submit_settings(native_, NGHTTP2_FLAG_NONE, all.data(), all.size());
  nghttp2_session_set_local_window_size(native_, NGHTTP2_FLAG_NONE, 0, w.of_connection);
}

void session::link_locked(stream& s) noexcept {
  s.prev = nullptr;
  s.next = streams_;
  if (streams_ != nullptr) streams_->prev = &s;
  streams_ = &s;
}

void session::unlink_locked(stream& s) noexcept {
  (s.prev != nullptr ? s.prev->next : streams_) = s.next;
  if (s.next != nullptr) s.next->prev = s.prev;
}

void session::release_locked(stream& s) noexcept {
  s.held = false;
  if (s.open) return;
  unlink_locked(s);
  dispose_locked(s);
}

void session::reset_locked(stream& s, std::uint32_t code, std::error_code why) noexcept {
  if (!s.open) return s.fail_locked(why);
  s.reset_here = true;
  s.fail_locked(why);
  nghttp2_submit_rst_stream(native_, NGHTTP2_FLAG_NONE, s.id, code);
}

void session::fail_all_locked(std::error_code why) noexcept {
  for (stream* s = streams_; s != nullptr; s = s->next) s->fail_locked(why);
}

void session::terminate_locked(std::uint32_t code) noexcept {
  if (terminated_) return;
  terminated_ = true;
  nghttp2_session_terminate_session(native_, code);
}

void session::look_by_locked(time_point when) noexcept {
  if (when >= look_at_ || ended_) return;
  look_at_ = when;
  conn_.set_read_deadline(when);
}

// Gives the lock back, and does what was put off.
void session::leave(bool may_write) {
  bool write = false;
  if (!writing_ && !broken_) {
    if (may_write && nghttp2_session_want_write(native_) != 0) {
      writing_ = write = true;
      writer_.add(1);
    } else if (!ended_ && nghttp2_session_want_read(native_) == 0) {
      ended_ = true;
      conn_.set_read_deadline(time_point::min());
    }
  }
  auto put_off = std::exchange(put_off_, {});
  mu_.unlock();
  for (stream* s : put_off.begun) start_stream(*s);
  if (write) {
    go([this] {
      write_all();
      writer_.done();
    });
  }
  for (const cancel_func& cancel : put_off.cancelled) cancel();
}

void session::read_some(std::string_view data) {
  entry e(*this);
  if (deaf_) return;
  auto n = nghttp2_session_mem_recv(native_, reinterpret_cast<const std::uint8_t*>(data.data()),
                                    data.size());
  if (head_since_ != time_point::max() && head_timeout_ != duration::zero()) {
    look_by_locked(head_since_ + head_timeout_);
  }
  if (n >= 0) return;
  // What nghttp2 does not answer itself: no preface, or a flood of what is to be answered.
  deaf_ = true;
  terminate_locked(n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
}

void session::read_all(std::string_view begun) {
  {
    entry e(*this);
    if (look_at_ == time_point::max() && !ended_) conn_.set_read_deadline(look_at_);
    look_by_locked(look_locked(now()));
  }
  if (!begun.empty()) read_some(begun);
  auto room = std::make_unique_for_overwrite<char[]>(read_size);
  for (;;) {
    auto n = conn_.read(std::span(room.get(), read_size));
    if (n && *n == 0) return;
    if (n) {
      read_some({room.get(), *n});
      continue;
    }
    if (n.error() != std::errc::timed_out) return;
    entry e(*this);
    if (ended_ || broken_) return;
    look_at_ = time_point::max();
    time_point when = look_locked(now());
    if (when == time_point::max()) conn_.set_read_deadline(when);
    look_by_locked(when);
  }
}

void session::end() {
  bool politely;
  {
    entry e(*this);
    politely = ended_ && !broken_;
    broken_ = true;
    fail_all_locked(errc::going_away);
    for (stream* s = streams_; s != nullptr;) {
      stream* following = s->next;
      s->open = false;
      if (!s->held) release_locked(*s);
      s = following;
    }
  }
  if (politely) {
    // What the other end has not been told of yet would be lost in a reset.
    std::ignore = conn_.close_write();
    time_point until = now() + linger_max;
    conn_.set_read_deadline(until);
    char unread[4096];
    while (now() < until) {
      auto n = conn_.read(unread);
      if (!n || *n == 0) break;
    }
  }
  std::ignore = conn_.close();
  writer_.wait();
}

void session::before_write() {
  if (write_timeout_ == duration::zero()) return;
  time_point when = now() + write_timeout_;
  if (write_deadline_ <= when && write_deadline_ >= when - write_timeout_ / 16) return;
  write_deadline_ = when;
  conn_.set_write_deadline(when);
}

// False: nothing is to be written.
bool session::gather_locked() {
  out_.clear();
  while (out_.size() < batch) {
    const std::uint8_t* data = nullptr;
    auto n = nghttp2_session_mem_send(native_, &data);
    if (n <= 0) break;
    out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
  }
  return !out_.empty();
}

void session::write_all() {
  for (;;) {
    yield();
    mu_.lock();
    if (broken_ || !gather_locked()) {
      writing_ = false;
      if (out_.capacity() > kept_max) out_ = {};
      return leave(false);
    }
    leave(false);
    before_write();
    if (auto n = conn_.write(out_); !n) {
      mu_.lock();
      broken_ = true;
      writing_ = false;
      fail_all_locked(n.error());
      leave(false);
      std::ignore = conn_.close();
      return;
    }
  }
}

}  // namespace runnel::http::h2
