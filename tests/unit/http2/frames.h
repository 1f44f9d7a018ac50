// Frames of HTTP/2 by hand (RFC 9113), and a peer that says exactly what it is told.
#pragma once

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../http/peer.h"

namespace runnel::http::h2 {

enum type : std::uint8_t {
  data = 0,
  head = 1,
  priority = 2,
  rst_stream = 3,
  settings = 4,
  push_promise = 5,
  ping = 6,
  goaway = 7,
  window_update = 8,
  continuation = 9,
};
enum flag : std::uint8_t {
  none = 0,
  ack = 1,
  end_stream = 1,
  end_headers = 4,
  padded = 8,
  with_priority = 32,
};

inline std::string number(std::uint64_t value, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes) & 255);
  return text;
}

inline std::string number_of(std::uint32_t value) { return number(value, 4); }

inline std::string frame(std::uint8_t kind, int flags, std::uint32_t id, std::string_view payload) {
  return number(payload.size(), 3) + number(kind, 1) + number(static_cast<unsigned>(flags), 1) +
         number(id, 4) + std::string(payload);
}

inline std::string setting(unsigned id, std::uint32_t value) {
  return number(id, 2) + number(value, 4);
}

// HPACK: literals that nobody remembers.
inline std::string size_of(std::size_t n) {
  if (n < 127) return {static_cast<char>(n)};
  std::string text(1, '\x7f');
  for (n -= 127; n >= 128; n /= 128) text += static_cast<char>(n % 128 + 128);
  return text + static_cast<char>(n);
}
inline std::string field_of(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + size_of(name.size()) + std::string(name) + size_of(value.size()) +
         std::string(value);
}
using pairs = std::vector<std::pair<std::string, std::string>>;
inline std::string block(const pairs& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += field_of(name, value);
  return text;
}
inline std::string request_block(std::string_view method, std::string_view path,
                                 const pairs& more = {}) {
  return block({{":method", std::string(method)},
                {":scheme", "http"},
                {":path", std::string(path)},
                {":authority", "x"}}) +
         block(more);
}
inline std::string request(std::uint32_t id, std::string_view method, std::string_view path,
                           const pairs& more = {}, int flags = end_headers) {
  return frame(head, flags, id, request_block(method, path, more));
}
inline std::string get(std::uint32_t id, std::string_view path = "/", const pairs& more = {}) {
  return request(id, "GET", path, more, end_headers | end_stream);
}
inline std::string post(std::uint32_t id, std::string_view path = "/echo", const pairs& more = {}) {
  return request(id, "POST", path, more);
}

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct seen {
  int type = -1;
  int flags = 0;
  std::uint32_t id = 0;
  std::string payload;

  bool has(int f) const { return (flags & f) != 0; }
  std::uint32_t word(std::size_t at = 0) const {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4 && i < payload.size(); ++i) {
      value = value << 8 | static_cast<unsigned char>(payload[i]);
    }
    return value;
  }
};

// What has come of one stream.
struct answer {
  int status = 0;
  std::vector<int> informational;
  pairs fields;
  std::string body;
  bool complete = false;
  std::optional<std::uint32_t> reset;

  std::string field(std::string_view name) const {
    for (const auto& [n, v] : fields) {
      if (n == name) return v;
    }
    return "";
  }
};

// One end of a connection.
class frame_stream {
 public:
  explicit frame_stream(net::conn c) : conn_(std::move(c)) { nghttp2_hd_inflate_new(&inflater_); }
  ~frame_stream() { nghttp2_hd_inflate_del(inflater_); }
  frame_stream(const frame_stream&) = delete;
  frame_stream& operator=(const frame_stream&) = delete;

  void say(std::string_view text) const { (void)conn_.write(text); }
  net::conn& conn() { return conn_; }

  // The next frame, of the server's settings, too; type -1: the stream has ended. Fills `answers`.
  seen hear() {
    seen f;
    std::string h = take(9);
    if (h.size() < 9) return f;
    auto byte = [&](std::size_t at) { return static_cast<unsigned char>(h[at]); };
    f.type = byte(3);
    f.flags = byte(4);
    f.id = static_cast<std::uint32_t>(byte(5)) << 24 | static_cast<std::uint32_t>(byte(6)) << 16 |
           static_cast<std::uint32_t>(byte(7)) << 8 | byte(8);
    f.payload = take(static_cast<std::size_t>(byte(0)) << 16 |
                     static_cast<std::size_t>(byte(1)) << 8 | byte(2));
    note(f);
    return f;
  }
  // Until there is one for which it holds.
  template <class F>
  seen hear_until(F wanted) {
    for (;;) {
      seen f = hear();
      if (f.type == -1 || wanted(f)) return f;
    }
  }
  seen hear_type(int kind) {
    return hear_until([&](const seen& f) { return f.type == kind; });
  }
  // The whole answer, or its reset.
  const answer& answer_to(std::uint32_t id) {
    while (!answers[id].complete && !answers[id].reset && hear().type != -1) {
    }
    return answers[id];
  }
  // All that was said before has been understood, and what was to be said about it, has been.
  bool catch_up() {
    for (const char* text : {"catch-up", "catch-it"}) {
      say(frame(ping, none, 0, text));
      seen f = hear_until(
          [&](const seen& one) { return one.type == ping && one.has(ack) && one.payload == text; });
      if (f.type == -1) return false;
    }
    return true;
  }

  std::map<std::uint32_t, answer> answers;
  std::optional<std::uint32_t> goodbye;  // the code of a GOAWAY
  std::uint32_t last_served = 0;

  std::string take(std::size_t n) {
    std::string text(n, '\0');
    std::size_t at = 0;
    while (at < n) {
      auto got = conn_.read(std::span(text.data() + at, n - at));
      if (!got || *got == 0) break;
      at += *got;
    }
    text.resize(at);
    return text;
  }

 private:
  void note(const seen& f) {
    if (f.type == goaway) {
      goodbye = f.word(4);
      last_served = f.word(0);
    }
    if (f.type == rst_stream) answers[f.id].reset = f.word();
    if (f.type == data) answers[f.id].body += f.payload;
    if (f.type == head) fields(f);
    if ((f.type == data || f.type == head) && f.has(end_stream)) answers[f.id].complete = true;
  }
  void fields(const seen& f) {
    auto* at = reinterpret_cast<const std::uint8_t*>(f.payload.data());
    std::size_t left = f.payload.size();
    answer& a = answers[f.id];
    for (;;) {
      nghttp2_nv one;
      int flags = 0;
      auto n = nghttp2_hd_inflate_hd2(inflater_, &one, &flags, at, left, 1);
      if (n < 0) panic("the server's HPACK is wrong");
      at += n;
      left -= static_cast<std::size_t>(n);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        std::string name(reinterpret_cast<char*>(one.name), one.namelen);
        std::string value(reinterpret_cast<char*>(one.value), one.valuelen);
        if (name == ":status") {
          int status = std::stoi(value);
          if (status < 200) a.informational.push_back(status);
          if (status >= 200) a.status = status;
        } else {
          a.fields.emplace_back(name, value);
        }
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_);
  }

  net::conn conn_;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

class frame_peer : public frame_stream {
 public:
  explicit frame_peer(const serving& to, bool greet = true, std::string_view own_settings = {})
      : frame_stream(net::dial("tcp", to.address()).value()) {
    // The server's settings are in force at once.
    if (greet) {
      say(std::string(preface) + frame(settings, none, 0, own_settings) +
          frame(settings, ack, 0, ""));
    }
  }
};

// A server that does with each connection what it is told: the first is number 0.
class frame_server {
 public:
  explicit frame_server(const std::function<void(frame_stream&, int number)>& f,
                        const std::string& own_settings = {})
      : listener_(net::listen("tcp", "127.0.0.1:0").value()) {
    ended_.go([this, f, own_settings] {
      for (;;) {
        auto c = listener_.accept();
        if (!c) return;
        ended_.go([f, own_settings, c = *c, number = connections++] {
          frame_stream s(c);
          EXPECT_EQ(s.take(preface.size()), preface);
          s.say(frame(settings, none, 0, own_settings) + frame(settings, ack, 0, ""));
          f(s, number);
          c.close();
        });
      }
    });
  }
  ~frame_server() {
    listener_.close();
    ended_.wait();
  }
  std::string url(std::string_view path = "/") const {
    return "http://" + listener_.addr().to_string() + std::string(path);
  }
  std::atomic<int> connections = 0;

 private:
  net::listener listener_;
  wait_group ended_;
};

// What a server makes of what is said after the greeting: "connection FRAME_SIZE_ERROR", "stream PROTOCOL_ERROR", "fine".
inline std::string what_comes_of(const serving& s, std::string_view said) {
  frame_peer p(s);
  p.say(said);
  bool alive = p.catch_up();
  auto name = [](std::uint32_t code) { return std::string(nghttp2_http2_strerror(code)); };
  if (p.goodbye && *p.goodbye != 0) return "connection " + name(*p.goodbye);
  if (!alive) return "closed";
  for (const auto& [id, a] : p.answers) {
    if (a.reset && *a.reset != 0) return "stream " + name(*a.reset);
  }
  return "fine";
}

}  // namespace runnel::http::h2
