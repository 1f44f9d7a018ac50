#pragma once
// A server's connection of HTTP/2. run() is its reading goroutine; each request's handler has one of its own.
//
// As many handlers run at a time as there may be streams. A client that resets a stream frees its place on the connection, not the handler's:
// the next ones wait until it has returned. Resets, and what this end has to reset for the client's faults, come out of an allowance
// (CVE-2023-44487, CVE-2025-8671); whoever exceeds it is told to calm down.
// Draining: a first GOAWAY says that the end is near; when the client has answered the ping behind it, or after a second, the last one
// names the last request that is served.

#include <array>
#include <atomic>
#include <ctime>

#include "net/http/server_core.h"
#include "net/http/text.h"
#include "net/http2/server_stream.h"
#include "net/http2/session.h"

namespace runnel::http::h2 {

class server_session final : public session, public served_connection {
 public:
  server_session(server_core& server, const net::conn& c);
  ~server_session() override;
  void run(std::string_view begun);

  void drain_locked() noexcept override;
  void close() noexcept override { std::ignore = conn_.close(); }

  server_core& server() const noexcept { return server_; }
  // The head has come, and perhaps more.
  void head_complete_locked(server_stream& s);
  void goodbye_locked() noexcept;
  std::string_view date_locked();

 private:
  stream* begins_locked(std::int32_t id) override;
  void closed_locked(stream& s) override;
  void dispose_locked(stream& s) noexcept override;
  void sent_locked(const nghttp2_frame& f) override;
  void unsent_locked(const nghttp2_frame& f) override;
  void came_locked(const nghttp2_frame& f) override;
  time_point look_locked(time_point now) override;
  void start_stream(stream& s) override;

  void begin_locked(server_stream& s);
  void handled(server_stream& s);
  void count_reset_locked() noexcept;
  void last_goodbye_locked() noexcept;

  server_core& server_;
  wait_group handlers_;
  std::uint32_t running_ = 0;
  server_stream* first_waiting_ = nullptr;
  server_stream* last_waiting_ = nullptr;
  server_stream* spare_ = nullptr;  // linked by `waiting`
  std::size_t spares_ = 0;
  bool greeted_ = false;  // the client's SETTINGS have come
  bool draining_ = false;
  bool last_said_ = false;
  time_point began_;
  time_point draining_since_{};
  double allowance_;
  time_point counted_at_;
  std::time_t date_of_ = -1;
  std::array<char, date_size + 1> date_{};
};

}  // namespace runnel::http::h2
