#include "net/http2/callbacks.h"

#include <chrono>
#include <new>

#include "net/http2/session.h"
#include "net/http2/stream.h"
#include "runnel/http/error.h"

namespace runnel::http::h2 {
namespace {

constexpr std::size_t batch = 64 << 10;  // gathered for one call

stream* stream_of(nghttp2_session* native, std::int32_t id) noexcept {
  return static_cast<stream*>(nghttp2_session_get_stream_user_data(native, id));
}
std::string_view text_of(const std::uint8_t* at, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(at), size};
}

}  // namespace

const nghttp2_session_callbacks* callbacks::table() {
  using frame = const nghttp2_frame*;
  static const nghttp2_session_callbacks* const made = [] {
    nghttp2_session_callbacks* c = nullptr;
    if (nghttp2_session_callbacks_new(&c) != 0) throw std::bad_alloc();

    // PRIORITY is not followed, so nghttp2 does not look at it.
    nghttp2_session_callbacks_set_on_begin_frame_callback(
        c, [](nghttp2_session*, const nghttp2_frame_hd* f, void* user) noexcept {
          if (f->type == NGHTTP2_PRIORITY && f->stream_id == 0) {
            static_cast<session*>(user)->terminate_locked(NGHTTP2_PROTOCOL_ERROR);
          }
          return 0;
        });

    nghttp2_session_callbacks_set_on_begin_headers_callback(
        c, [](nghttp2_session* native, frame f, void* user) noexcept {
          auto& self = *static_cast<session*>(user);
          self.head_since_ = std::chrono::steady_clock::now();
          if (f->headers.cat == NGHTTP2_HCAT_REQUEST) {
            stream* s = self.begins_locked(f->hd.stream_id);
            s->id = f->hd.stream_id;
            s->open = true;
            ++self.open_;
            self.link_locked(*s);
            nghttp2_session_set_stream_user_data(native, f->hd.stream_id, s);
          }
          if (stream* s = stream_of(native, f->hd.stream_id)) {
            s->fields_begin_locked(f->headers.cat);
          }
          return 0;
        });

    nghttp2_session_callbacks_set_on_header_callback(
        c, [](nghttp2_session* native, frame f, const std::uint8_t* name, std::size_t name_size,
              const std::uint8_t* value, std::size_t value_size, std::uint8_t, void*) noexcept {
          if (stream* s = stream_of(native, f->hd.stream_id)) {
            s->field_locked(text_of(name, name_size), text_of(value, value_size));
          }
          return 0;
        });

    // Without this, nghttp2 leaves out a field whose value may not be.
    nghttp2_session_callbacks_set_on_invalid_header_callback(
        c,
        [](nghttp2_session* native, frame f, const std::uint8_t*, std::size_t, const std::uint8_t*,
           std::size_t, std::uint8_t, void* user) noexcept -> int {
          static_cast<session*>(user)->head_refused_locked();
          nghttp2_submit_rst_stream(native, NGHTTP2_FLAG_NONE, f->hd.stream_id,
                                    NGHTTP2_PROTOCOL_ERROR);
          return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        });

    // For a head that nghttp2 itself finds malformed: it ends here.
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        c, [](nghttp2_session*, frame, int, void* user) noexcept {
          static_cast<session*>(user)->head_refused_locked();
          return 0;
        });

    nghttp2_session_callbacks_set_on_frame_recv_callback(
        c, [](nghttp2_session* native, frame f, void* user) noexcept {
          auto& self = *static_cast<session*>(user);
          bool heads = f->hd.type == NGHTTP2_HEADERS;
          if (heads) self.head_since_ = time_point::max();
          stream* s =
              heads || f->hd.type == NGHTTP2_DATA ? stream_of(native, f->hd.stream_id) : nullptr;
          bool last = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
          if (s != nullptr && heads) s->fields_end_locked(f->headers.cat, last);
          if (s != nullptr && last) s->input_ends_locked();
          self.came_locked(*f);
          return 0;
        });

    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        c, [](nghttp2_session* native, std::uint8_t, std::int32_t id, const std::uint8_t* data,
              std::size_t size, void*) noexcept {
          if (stream* s = stream_of(native, id)) {
            s->data_locked(text_of(data, size));
          } else {
            nghttp2_session_consume(native, id, size);
          }
          return 0;
        });

    nghttp2_session_callbacks_set_on_stream_close_callback(
        c, [](nghttp2_session* native, std::int32_t id, std::uint32_t code, void* user) noexcept {
          auto& self = *static_cast<session*>(user);
          stream* s = stream_of(native, id);
          if (s == nullptr) return 0;
          nghttp2_session_set_stream_user_data(native, id, nullptr);
          --self.open_;
          if (self.open_ == 0) self.idle_since_ = std::chrono::steady_clock::now();
          s->close_locked(code);
          self.closed_locked(*s);
          if (!s->held) self.release_locked(*s);
          return 0;
        });

    nghttp2_session_callbacks_set_on_frame_send_callback(
        c, [](nghttp2_session*, frame f, void* user) noexcept {
          static_cast<session*>(user)->sent_locked(*f);
          return 0;
        });

    nghttp2_session_callbacks_set_on_frame_not_send_callback(
        c, [](nghttp2_session*, frame f, int, void* user) noexcept {
          static_cast<session*>(user)->unsent_locked(*f);
          return 0;
        });

    nghttp2_session_callbacks_set_send_data_callback(
        c,
        [](nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
           nghttp2_data_source* source, void* user) noexcept -> int {
          constexpr std::size_t head_size = 9;
          auto& self = *static_cast<session*>(user);
          if (self.out_.size() >= batch) return NGHTTP2_ERR_WOULDBLOCK;
          self.out_.append(text_of(head, head_size));
          static_cast<stream*>(source->ptr)->take_locked(size, self.out_);
          return 0;
        });
    return c;
  }();
  return made;
}

}  // namespace runnel::http::h2
