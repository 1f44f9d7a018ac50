#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "runnel/detail/run.h"
#include "runnel/go.h"
#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"

namespace runnel {

// Calls of one key that overlap share one execution (golang.org/x/sync/singleflight): a cache that is cold asks
// its source once. Any thread.
//
//   singleflight<std::string, page> fetches;
//   page p = fetches.do_(url, [&] { return fetch(url); }).value;
//
// V is copyable. Must not be destroyed while a call is under way.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class singleflight {
 public:
  struct result {
    V value;
    bool shared;  // it was given to more than one caller
  };

  singleflight() = default;
  singleflight(const singleflight&) = delete;
  singleflight& operator=(const singleflight&) = delete;

  // Calls f, unless a call of this key is under way: then waits for that and returns a copy of its value.
  //
  // How f ends is how all of the calls that share it end: with its value; with the exception that left it, the same
  // object for all; or by goexit (for a plain thread that waits, a panic as from goexit()). That f does
  // something happens before any of them returns. f must not call do_() with its own key: it would wait for itself.
  template <class F>
  result do_(const K& key, F&& f) {
    std::shared_ptr<call> mine;
    {
      std::unique_lock hold(mu_);
      if (auto there = calls_.find(key); there != calls_.end()) {
        std::shared_ptr<call> other = there->second;
        other->shared = true;
        hold.unlock();
        other->finished.wait();
        if (other->exited) goexit();
        if (other->error) std::rethrow_exception(other->error);
        return {*other->value, true};
      }
      mine = std::make_shared<call>();
      calls_.emplace(key, mine);
    }
    try {
      mine->value.emplace(std::invoke(std::forward<F>(f)));
    } catch (...) {
      mine->error = std::current_exception();
      if (detail::is_goexit(mine->error)) {
        mine->error = nullptr;  // nobody may keep that one
        mine->exited = true;
      }
      finish(key, mine);
      throw;
    }
    if (finish(key, mine)) return {*mine->value, true};
    return {std::move(*mine->value), false};
  }

  // The next do_() of this key calls its function, even if a call is under way; that goes on for those who wait.
  void forget(const K& key) {
    std::lock_guard hold(mu_);
    calls_.erase(key);
  }

 private:
  // Written by the one who executes, before `finished` is done; read by the others after. Except `shared`: under mu_.
  struct call {
    call() { finished.add(1); }
    wait_group finished;
    std::optional<V> value;
    std::exception_ptr error;
    bool exited = false;
    bool shared = false;
  };

  // Nobody joins it from now on. Whether others have.
  bool finish(const K& key, const std::shared_ptr<call>& c) {
    struct release {  // also if the key's hash throws
      call& c;
      ~release() { c.finished.done(); }
    } on_exit{*c};
    std::lock_guard hold(mu_);
    auto there = calls_.find(key);
    if (there != calls_.end() && there->second == c) calls_.erase(there);
    return c->shared;
  }

  mutex mu_;
  std::unordered_map<K, std::shared_ptr<call>, Hash, Equal> calls_;
};

}  // namespace runnel
