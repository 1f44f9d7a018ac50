// A server on a port of its own, and a client that says exactly what it is told.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>

#include "runnel/http.h"
#include "runnel/net.h"
#include "runnel/runnel.h"

namespace runnel::http {

class serving {
 public:
  explicit serving(const std::function<void(server&)>& prepare, server_options options = {})
      : server_(std::move(options)) {
    prepare(server_);
    auto on = net::listen("tcp", "127.0.0.1:0");
    if (!on) panic("listen: " + on.error().message());
    listener_ = *on;
    ended_.go([this] { why_ = server_.serve(listener_); });
  }
  ~serving() {
    server_.close();
    ended_.wait();
  }
  server& operator*() noexcept { return server_; }
  server* operator->() noexcept { return &server_; }
  std::string address() const { return listener_.addr().to_string(); }
  std::string url(std::string_view path) const { return "http://" + address() + std::string(path); }
  std::error_code wait() {
    ended_.wait();
    return why_;
  }

 private:
  server server_;
  net::listener listener_;
  wait_group ended_;
  std::error_code why_;
};

class peer {
 public:
  explicit peer(const serving& to) {
    auto c = net::dial("tcp", to.address());
    if (!c) panic("dial: " + c.error().message());
    conn_ = *c;
  }
  void say(std::string_view text) const { (void)conn_.write(text); }
  // Until the stream ends or `end` has come.
  std::string hear(std::string_view end = {}) const {
    std::string all;
    char piece[4096];
    while (end.empty() || !all.ends_with(end)) {
      auto n = conn_.read(piece);
      if (!n || *n == 0) break;
      all.append(piece, *n);
    }
    return all;
  }
  net::conn& conn() noexcept { return conn_; }

 private:
  net::conn conn_;
};

// All that is answered to what is said on one connection, until the server closes it.
inline std::string answers_to(const serving& to, std::string_view said) {
  peer p(to);
  p.say(said);
  return p.hear();
}

inline int status_of(std::string_view answer) {
  return answer.size() < 12 ? 0 : std::stoi(std::string(answer.substr(9, 3)));
}

inline std::string_view body_of(std::string_view answer) {
  std::size_t end = answer.find("\r\n\r\n");
  return end == std::string_view::npos ? std::string_view() : answer.substr(end + 4);
}

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// get("/", "Connection: close\r\n")
inline std::string get(std::string_view path, std::string_view fields = "Connection: close\r\n") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n";
}

}  // namespace runnel::http
