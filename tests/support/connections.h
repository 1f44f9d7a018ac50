#pragma once
// A make-believe server for connection_pool: it counts its connections, refuses them, and makes those wait who open or close.

#include <atomic>
#include <memory>
#include <system_error>
#include <utility>

#include "runnel/chan.h"
#include "runnel/net/error.h"
#include "runnel/sync.h"

namespace test {

class server;

class connection {
 public:
  connection() = default;  // of no server
  explicit connection(server& s, int id) : server_(&s), id_(id) {}
  connection(connection&& other) noexcept
      : server_(std::exchange(other.server_, nullptr)), id_(other.id_) {}
  connection& operator=(connection&&) = delete;
  ~connection();

  int id() const { return id_; }

  // True if nobody else uses it meanwhile.
  template <class F>
  bool alone(F f) {
    bool first = !used_.exchange(true);
    f();
    return used_.exchange(false) && first;
  }

 private:
  server* server_ = nullptr;
  int id_ = 0;
  std::atomic<bool> used_{false};
};

class server {
 public:
  auto opener() {
    return [this]() -> runnel::result<connection> {
      opens_.pass();
      if (failing_.load() > 0) {
        --failing_;
        return std::unexpected(make_error_code(std::errc::connection_refused));
      }
      int now = ++alive_;
      for (int most = most_alive_; most < now && !most_alive_.compare_exchange_weak(most, now);) {
      }
      return connection(*this, ++opened_);
    };
  }

  void fail_opens(int n) { failing_ = n; }
  void hold_opens() { opens_.shut(); }
  void let_open() { opens_.open(); }
  void hold_closes() { closes_.shut(); }
  void let_close() { closes_.open(); }

  int opened() const { return opened_; }
  int alive() const { return alive_; }
  int most_alive() const { return most_alive_; }

 private:
  friend class connection;

  // Opened once, for good.
  class gate {
   public:
    void shut() { bar_ = runnel::make_chan<runnel::unit>(); }
    void open() { bar_.close(); }
    void pass() {
      if (bar_) bar_.recv();
    }

   private:
    runnel::chan<runnel::unit> bar_;
  };

  gate opens_, closes_;
  std::atomic<int> failing_{0}, opened_{0}, alive_{0}, most_alive_{0};
};

inline connection::~connection() {
  if (server_ == nullptr) return;
  server_->closes_.pass();
  --server_->alive_;
}

}  // namespace test
