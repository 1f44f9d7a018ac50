#pragma once
// A client's connection, and those that are kept for the next request.
//
// Whoever holds the pointer has the connection for itself. In the pool lie only connections whose last answer was read to
// its end.

#include <memory>
#include <string>
#include <vector>

#include "net/http/body_reader.h"
#include "net/http/head_parser.h"
#include "net/http/input.h"
#include "runnel/http/client.h"
#include "runnel/sync/mutex.h"
#include "runnel/time.h"

namespace runnel::http {

struct client_connection {
  client_connection(std::string to, net::conn c) noexcept
      : key(std::move(to)), conn(c), in(std::move(c)) {}

  // The next head that is an answer: 1xx are skipped. errc::ended_early, and `silent`: nothing has come.
  std::error_code read_head(std::size_t size_max);
  void start_body(bool of_head_request);
  // Nothing has come, nor an end, while it was kept.
  bool is_fresh() const;

  const std::string key;
  net::conn conn;
  input in;
  body_reader body{in};
  message_head head;
  bool silent = true;    // nothing of the answer has come
  bool reusable = true;  // after the body
  bool reused = false;
  bool secure = false;
  time_point since;  // in the pool
};

class connection_pool : public std::enable_shared_from_this<connection_pool> {
 public:
  explicit connection_pool(const client_options& options) : options_(options) {}
  // nullptr: none is kept.
  std::unique_ptr<client_connection> take(const std::string& key);
  void put(std::unique_ptr<client_connection> c);
  void clear();

 private:
  void reap();

  const client_options options_;
  mutex mu_;
  std::vector<std::unique_ptr<client_connection>> idle_;  // the longest idle first
  bool reaping_ = false;
};

}  // namespace runnel::http
