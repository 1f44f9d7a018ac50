#pragma once
// The sessions of a client, by where they lead.
//
// Of those who want the same host, and do not know which HTTP it speaks, or whose sessions are all full, one dials; the others
// wait, and share what it gets.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/http2/client_session.h"
#include "runnel/chan.h"
#include "runnel/context.h"
#include "runnel/sync/mutex.h"

namespace runnel::http::h2 {

// session: a place is reserved in it. Otherwise the host speaks HTTP/1.1, perhaps over a connection that was made just now.
struct route {
  std::shared_ptr<client_session> session;
  bool reused = false;
  net::conn other;
};

class session_pool : public std::enable_shared_from_this<session_pool> {
 public:
  using dial = std::function<result<net::conn>()>;

  static std::shared_ptr<session_pool> make(const client_options& options) {
    return std::make_shared<session_pool>(options);
  }
  explicit session_pool(const client_options& options) : options_(options) {}
  ~session_pool();

  result<route> take(const context& ctx, const std::string& key, bool may_reuse, const dial& dial);
  // A connection that turned out to speak HTTP/2.
  route adopt(const std::string& key, const net::conn& c);
  void close_idle();

 private:
  struct attempt {
    chan<unit> done = make_chan<unit>();
    std::error_code why;    // set before done is closed
    bool given_up = false;  // by its own context
  };
  struct host {
    std::vector<std::shared_ptr<client_session>> sessions;
    std::shared_ptr<attempt> dialing;
    bool speaks_http1 = false;
  };

  result<route> dial_locked(std::unique_lock<mutex>& hold, const context& ctx,
                            const std::string& key, const dial& dial);
  void forget(const std::string& key, const client_session& gone);
  std::vector<std::shared_ptr<client_session>> all();

  const client_options options_;
  mutex mu_;
  std::map<std::string, host> hosts_;
};

}  // namespace runnel::http::h2
