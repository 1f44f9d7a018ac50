#pragma once
// One exchange of a connection: a body that comes, a body that goes.
//
// Both are queues of limited length. What comes is limited by the window, which is opened only as somebody reads; who writes
// more than the queue takes, waits until the other end has opened its window and the connection has taken it.
// One goroutine reads, one writes, perhaps the same.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/http2/session.h"
#include "runnel/http/headers.h"
#include "runnel/net/error.h"

namespace runnel::http::h2 {

// Where one goroutine waits for another to do something under the session's lock.
class spot {
 public:
  // Not under the lock meanwhile. False: nobody has told, until then.
  bool wait(session::entry& e, time_point until);
  void tell_locked() noexcept {
    if (!waits_) return;
    waits_ = false;
    told_.done();
  }

 private:
  bool waits_ = false;
  wait_group told_;
};

inline nghttp2_nv pair_of(std::string_view name, std::string_view value,
                          std::uint8_t flags = NGHTTP2_NV_FLAG_NONE) noexcept {
  auto* n = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* v = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  return {n, v, name.size(), value.size(), flags};
}

// Of HTTP/1.1's connections: they have no place here (RFC 9113, 8.2.2). In small letters or not.
bool is_of_connection(std::string_view name) noexcept;

class stream {
 public:
  explicit stream(session& of) noexcept : of_(of) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  virtual ~stream() = default;

  // From nghttp2.
  virtual void fields_begin_locked(nghttp2_headers_category) {}
  virtual void field_locked(std::string_view name, std::string_view value) = 0;
  virtual void fields_end_locked(nghttp2_headers_category what, bool last) = 0;
  void data_locked(std::string_view data);
  void input_ends_locked() noexcept;
  void close_locked(std::uint32_t code) noexcept;
  ssize_t give_locked(std::size_t most, std::uint32_t& flags);
  void take_locked(std::size_t n, std::string& to);

  // At least one byte; 0: the end.
  result<std::size_t> read_locked(session::entry& e, std::span<char> into, time_point until);
  // limit: of each wait; zero: none.
  std::error_code write_locked(session::entry& e, std::string_view data, duration limit);
  // The body is complete.
  void end_output_locked(const headers* trailers);
  // What comes from now on, nobody reads.
  void discard_input_locked() noexcept;
  void fail_locked(std::error_code why) noexcept;

  nghttp2_data_provider provider() noexcept;

  std::int32_t id = 0;
  bool open = false;
  bool held = false;
  bool reset_here = false;  // by this end's will
  bool reset_there = false;
  std::uint32_t code = 0;  // with which it was closed
  std::error_code why;     // it has failed
  bool input_ended = false;
  bool output_ended = false;         // the queue is all there is
  bool stops_when_answered = false;  // no more is sent once all has come
  bool answered_early = false;       // the answer is sent, the request is not whole
  time_point progress{};             // when something was taken from the queue last
  stream* prev = nullptr;
  stream* next = nullptr;

  bool has_output() const noexcept { return out_at_ != out_.size(); }
  std::string_view input() const noexcept { return std::string_view(in_).substr(in_at_); }
  spot readable;
  spot writable;

 protected:
  void clear_locked() noexcept;
  void consumed_locked(std::size_t n) noexcept;
  void forget_locked(std::size_t n) noexcept;
  virtual void failed_locked() noexcept {}

  session& of_;

 private:
  void resume_locked() noexcept;

  std::string in_;
  std::size_t in_at_ = 0;
  bool discards_ = false;
  std::string out_;
  std::size_t out_at_ = 0;
  bool deferred_ = false;  // nghttp2 waits to be told of output
  headers trailers_;       // to be sent
};

}  // namespace runnel::http::h2
