#include "net/http2/stream.h"

#include <algorithm>
#include <cstring>

#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr std::size_t queue_max = 32 << 10;  // of one stream, to be sent
constexpr std::size_t kept_max = 16 << 10;   // memory that is kept for another stream

time_point now() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace

bool spot::wait(session::entry& e, time_point until) {
  waits_ = true;
  told_.add(1);
  session& s = e.session_;
  s.leave(true);
  bool in_time = true;
  if (until == time_point::max()) {
    told_.wait();
  } else {
    in_time = told_.wait_for(std::max(until - now(), duration::zero()));
  }
  s.mu_.lock();
  if (in_time || !waits_) return true;
  waits_ = false;
  told_.done();
  return false;
}

bool is_of_connection(std::string_view name) noexcept {
  switch (name.size()) {
    case 7: return same_name(name, "upgrade");
    case 10: return same_name(name, "connection") || same_name(name, "keep-alive");
    case 16: return same_name(name, "proxy-connection");
    case 17: return same_name(name, "transfer-encoding");
    default: return false;
  }
}

void stream::clear_locked() noexcept {
  id = 0;
  open = held = reset_here = reset_there = input_ended = output_ended = answered_early = discards_ =
      deferred_ = false;
  code = 0;
  why.clear();
  in_at_ = out_at_ = 0;
  for (std::string* one : {&in_, &out_}) {
    if (one->capacity() > kept_max) *one = {};
    one->clear();
  }
  if (!trailers_.empty()) trailers_.clear();
}

void stream::consumed_locked(std::size_t n) noexcept {
  if (n != 0) nghttp2_session_consume(of_.native(), id, n);
}

// The stream's own window stays closed.
void stream::forget_locked(std::size_t n) noexcept {
  if (n != 0) nghttp2_session_consume_connection(of_.native(), n);
}

void stream::data_locked(std::string_view data) {
  if (discards_) return forget_locked(data.size());
  if (in_at_ > kept_max) {
    in_.erase(0, in_at_);
    in_at_ = 0;
  }
  in_.append(data);
  readable.tell_locked();
}

void stream::input_ends_locked() noexcept {
  input_ended = true;
  readable.tell_locked();
  if (stops_when_answered) writable.tell_locked();
}

void stream::discard_input_locked() noexcept {
  discards_ = true;
  forget_locked(in_.size() - in_at_);
  in_.clear();
  in_at_ = 0;
}

void stream::fail_locked(std::error_code e) noexcept {
  if (!why) why = e;
  readable.tell_locked();
  writable.tell_locked();
  failed_locked();
}

void stream::close_locked(std::uint32_t with) noexcept {
  open = false;
  code = with;
  bool whole = with == NGHTTP2_NO_ERROR && input_ended && output_ended && !has_output();
  if (whole) return;
  // What nghttp2 has found wrong, nobody but itself has reset.
  bool faulty = with == NGHTTP2_PROTOCOL_ERROR && !reset_there && !reset_here;
  fail_locked(faulty ? errc::malformed : errc::stream_reset);
}

result<std::size_t> stream::read_locked(session::entry& e, std::span<char> into, time_point until) {
  for (;;) {
    if (std::string_view ready = input(); !ready.empty()) {
      std::size_t n = std::min(ready.size(), into.size());
      std::memcpy(into.data(), ready.data(), n);
      in_at_ += n;
      if (in_at_ == in_.size()) {
        in_.clear();
        in_at_ = 0;
      }
      consumed_locked(n);
      return n;
    }
    if (input_ended || into.empty()) return 0;
    if (why) return std::unexpected(why);
    if (!readable.wait(e, until))
      return std::unexpected(std::make_error_code(std::errc::timed_out));
  }
}

void stream::resume_locked() noexcept {
  if (!deferred_ || !open) return;
  deferred_ = false;
  nghttp2_session_resume_data(of_.native(), id);
}

std::error_code stream::write_locked(session::entry& e, std::string_view data, duration limit) {
  while (!data.empty()) {
    if (why) return why;
    if (stops_when_answered && input_ended) return errc::ended_early;
    std::size_t queued = out_.size() - out_at_;
    if (queued >= queue_max) {
      time_point until = limit == duration::zero() ? time_point::max() : now() + limit;
      if (writable.wait(e, until)) continue;
      of_.reset_locked(*this, NGHTTP2_CANCEL, std::make_error_code(std::errc::timed_out));
      return why;
    }
    if (out_at_ > kept_max) {
      out_.erase(0, out_at_);
      out_at_ = 0;
    }
    std::size_t n = std::min(data.size(), queue_max - queued);
    out_.append(data.substr(0, n));
    data.remove_prefix(n);
    resume_locked();
  }
  return why;
}

void stream::end_output_locked(const headers* trailers) {
  if (output_ended) return;
  output_ended = true;
  if (trailers != nullptr) trailers_ = *trailers;
  progress = now();
  resume_locked();
}

// nghttp2 asks what there is.
ssize_t stream::give_locked(std::size_t most, std::uint32_t& flags) {
  std::size_t left = out_.size() - out_at_;
  if (left == 0 && !output_ended) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  std::size_t n = std::min(left, most);
  if (n != 0) flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (n == left && output_ended) {
    flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!trailers_.empty()) {
      std::vector<nghttp2_nv> pairs;
      for (const auto& one : trailers_) {
        if (!is_of_connection(one.name)) pairs.push_back(pair_of(one.name, one.value));
      }
      if (!pairs.empty() &&
          nghttp2_submit_trailer(of_.native(), id, pairs.data(), pairs.size()) == 0) {
        flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      }
    }
  }
  return static_cast<ssize_t>(n);
}

// nghttp2 sends so much of what there is.
void stream::take_locked(std::size_t n, std::string& to) {
  to.append(out_, out_at_, n);
  out_at_ += n;
  progress = now();
  if (out_at_ == out_.size()) {
    out_.clear();
    out_at_ = 0;
  }
  if (out_.size() - out_at_ <= queue_max / 2) writable.tell_locked();
}

nghttp2_data_provider stream::provider() noexcept {
  nghttp2_data_provider made{};
  made.source.ptr = this;
  made.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t most,
                          std::uint32_t* flags, nghttp2_data_source* source,
                          void*) noexcept -> ssize_t {
    return static_cast<stream*>(source->ptr)->give_locked(most, *flags);
  };
  return made;
}

}  // namespace runnel::http::h2
