#include "net/http2/client_session.h"

#include <algorithm>

#include "runnel/go.h"
#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr windows open_for{.of_stream = 1 << 20, .of_connection = 8 << 20};
constexpr duration write_timeout = std::chrono::seconds(30);  // of 64 KiB
constexpr std::size_t fields_max = 256;

}  // namespace

void client_stream::field_locked(std::string_view name, std::string_view value) {
  constexpr std::size_t overhead = 32;
  head_size_ += name.size() + value.size() + overhead;
  if (head_size_ > head_max_ || head_size_ / overhead > head_max_ / overhead + fields_max) {
    if (!why) of_.reset_locked(*this, NGHTTP2_ENHANCE_YOUR_CALM, errc::too_large);
    return;
  }
  if (name == ":status") {
    status = 0;
    for (char c : value) status = status * 10 + (c - '0');  // nghttp2 has looked at it
  } else if (!name.starts_with(':')) {
    (answered ? trailers : fields).add(name, value);
  }
}

void client_stream::fields_end_locked(nghttp2_headers_category, bool) {
  if (answered) return;
  if (status < 200) {
    fields.clear();
    return;
  }
  answered = true;
  readable.tell_locked();
}

client_session::client_session(const net::conn& c, const client_options& options)
    : session(role::client, c, duration::zero(), write_timeout),
      idle_timeout_(options.idle_timeout),
      head_max_(options.max_header_bytes) {}

std::shared_ptr<client_session> client_session::start(const net::conn& c,
                                                      const client_options& options,
                                                      std::function<void(client_session&)> ended) {
  auto made = std::make_shared<client_session>(c, options);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(std::min<std::size_t>(options.max_header_bytes, UINT32_MAX))}};
  made->begin(settings, open_for);
  go([made, ended = std::move(ended)] {
    made->read_all({});
    {
      entry e(*made);
      made->retired_ = true;
    }
    ended(*made);
    made->end();
  });
  return made;
}

bool client_session::reserve() {
  entry e(*this);
  if (retired_ || broken_ || terminated_ || nghttp2_session_check_request_allowed(native_) == 0) {
    return false;
  }
  std::uint32_t most =
      nghttp2_session_get_remote_settings(native_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  if (open_ + reserved_ >= most) return false;
  ++reserved_;
  return true;
}

void client_session::give_back() {
  entry e(*this);
  --reserved_;
  end_if_unused_locked();
}

client_stream* client_session::open(const std::vector<nghttp2_nv>& fields, bool with_body) {
  entry e(*this);
  --reserved_;
  auto* s = new client_stream(*this, head_max_);
  s->held = true;
  s->stops_when_answered = true;
  s->output_ended = !with_body;
  link_locked(*s);
  nghttp2_data_provider source = s->provider();
  std::int32_t id = broken_ ? -1
                            : nghttp2_submit_request(native_, nullptr, fields.data(), fields.size(),
                                                     with_body ? &source : nullptr, s);
  if (id < 0) {
    s->unsent = true;
    s->fail_locked(errc::going_away);
    return s;
  }
  s->id = id;
  s->open = true;
  ++open_;
  return s;
}

void client_session::cancel(std::int32_t id, std::error_code why) {
  entry e(*this);
  for (stream* s = streams_; s != nullptr; s = s->next) {
    if (s->id == id) return reset_locked(*s, NGHTTP2_CANCEL, why);
  }
}

void client_session::end_if_unused_locked() noexcept {
  if (retired_ && open_ == 0 && reserved_ == 0) terminate_locked(NGHTTP2_NO_ERROR);
}

void client_session::retire() {
  entry e(*this);
  retired_ = true;
  end_if_unused_locked();
}

void client_session::retire_if_idle() {
  entry e(*this);
  if (open_ != 0 || reserved_ != 0) return;
  retired_ = true;
  end_if_unused_locked();
}

void client_session::closed_locked(stream&) { end_if_unused_locked(); }

void client_session::dispose_locked(stream& s) noexcept { delete static_cast<client_stream*>(&s); }

void client_session::unsent_locked(const nghttp2_frame& f) {
  if (f.hd.type != NGHTTP2_HEADERS || f.headers.cat != NGHTTP2_HCAT_REQUEST) return;
  auto* s = static_cast<client_stream*>(
      static_cast<stream*>(nghttp2_session_get_stream_user_data(native_, f.hd.stream_id)));
  if (s != nullptr) s->unsent = true;
}

void client_session::came_locked(const nghttp2_frame& f) {
  if (f.hd.type != NGHTTP2_RST_STREAM) return;
  auto* s = static_cast<stream*>(nghttp2_session_get_stream_user_data(native_, f.hd.stream_id));
  if (s != nullptr) s->reset_there = true;
}

time_point client_session::look_locked(time_point t) {
  if (idle_timeout_ == duration::zero()) return time_point::max();
  if (open_ != 0 || reserved_ != 0) return t + idle_timeout_;
  time_point when = idle_since_ + idle_timeout_;
  if (when <= t) terminate_locked(NGHTTP2_NO_ERROR);
  return when <= t ? time_point::max() : when;
}

}  // namespace runnel::http::h2
