#pragma once
// One connection of HTTP/2, of either end: nghttp2's session, and who may use it.
//
// nghttp2 knows the protocol; it reads and writes nothing itself. It, and all streams, are under one lock, which nobody holds
// while waiting. One goroutine, the session's own, reads. Another one writes; it is started when there is something to be written,
// and ends when there is nothing: first it lets the others run, so that one call carries what many streams have.
//
// Invariants
//   native_ is called, or a member of a stream named *_locked  =>  by the holder of an entry; nghttp2's callbacks run within
//   writing_                                   =>  a goroutine writes, or is about to look what there is to be written
//   there is something to be written           =>  writing_, or somebody holds an entry
//   broken_                                    =>  every stream has failed, and no stream begins
// A stream is in the list, and its memory valid, while nghttp2 knows it (open) or somebody uses it (held).
// Lock order: the server's lock, then the session's. What could call users' code or take the server's lock is put off to the
// entry's end: the cancelling of contexts, the starting of handlers.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "runnel/context.h"
#include "runnel/net/conn.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"
#include "runnel/time.h"

namespace runnel::http::h2 {

class stream;

// How much the other end may send before anybody has read it.
struct windows {
  std::int32_t of_stream;
  std::int32_t of_connection;
};

class session {
 public:
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  // Holds the lock. At its end it does what was put off, and sees to it that what is to be written, is.
  class entry {
   public:
    explicit entry(session& s) : session_(s) { session_.mu_.lock(); }
    ~entry() { session_.leave(true); }
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;

   private:
    friend class spot;
    session& session_;
  };

  nghttp2_session* native() const noexcept { return native_; }
  const net::conn& connection() const noexcept { return conn_; }

  // The stream is given up: nothing more of it is sent or received.
  void reset_locked(stream& s, std::uint32_t code, std::error_code why) noexcept;
  void cancel_later_locked(const cancel_func& cancel) { put_off_.cancelled.push_back(cancel); }
  // The rest of the head that is coming is not waited for.
  void head_refused_locked() noexcept { head_since_ = time_point::max(); }
  // The reader shall look by then whether it is time for something.
  void look_by_locked(time_point when) noexcept;
  // Nobody uses it any more.
  void release_locked(stream& s) noexcept;

 protected:
  enum class role { client, server };

  // head_timeout: for a block of fields that has begun to come.
  session(role who, net::conn c, duration head_timeout, duration write_timeout);
  virtual ~session();

  void begin(std::span<const nghttp2_settings_entry> settings, const windows& w);
  // Reads until the connection is at its end, or is to be closed. begun: what has been read already.
  void read_all(std::string_view begun);
  // Every stream fails, and the connection is closed. Then waits for whoever writes.
  void end();
  void fail_all_locked(std::error_code why) noexcept;
  // The connection is to be closed, after what there is to be written; streams fail then. code: of nghttp2.
  void terminate_locked(std::uint32_t code) noexcept;

  // All under the lock.
  virtual stream* begins_locked(std::int32_t id) = 0;      // a request
  virtual void closed_locked(stream& s) = 0;               // nghttp2 has forgotten it
  virtual void dispose_locked(stream& s) noexcept = 0;     // not open, not held
  virtual void sent_locked(const nghttp2_frame& f) = 0;    // just now
  virtual void unsent_locked(const nghttp2_frame& f) = 0;  // and never will be
  virtual void came_locked(const nghttp2_frame& f) = 0;    // besides heads and bodies
  virtual time_point look_locked(time_point now) = 0;      // after a while; when to look next
  virtual void start_stream(stream& s) = 0;                // not under the lock; was put off

  void link_locked(stream& s) noexcept;
  void start_later_locked(stream& s) { put_off_.begun.push_back(&s); }

  const net::conn conn_;
  const duration head_timeout_;
  const duration write_timeout_;
  mutex mu_;
  nghttp2_session* native_ = nullptr;
  stream* streams_ = nullptr;  // all of them
  std::size_t open_ = 0;       // that nghttp2 knows
  bool broken_ = false;
  bool terminated_ = false;
  time_point idle_since_;
  time_point head_since_ = time_point::max();  // a block of fields under way

 private:
  friend class spot;
  friend struct callbacks;

  void leave(bool may_write);
  void read_some(std::string_view data);
  void write_all();
  bool gather_locked();
  void before_write();
  void unlink_locked(stream& s) noexcept;

  std::string out_;  // of whoever writes
  bool writing_ = false;
  bool ended_ = false;  // nothing more is to be read or written
  bool deaf_ = false;   // nghttp2 may not be given any more
  wait_group writer_;
  time_point look_at_ = time_point::max();
  time_point write_deadline_ = time_point::max();
  struct {
    std::vector<cancel_func> cancelled;
    std::vector<stream*> begun;
  } put_off_;
};

}  // namespace runnel::http::h2
