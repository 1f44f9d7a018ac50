#include "net/http2/session_pool.h"

#include <algorithm>

#include "runnel/select.h"

namespace runnel::http::h2 {
namespace {

constexpr std::size_t hosts_max = 1000;  // of which nothing but the version is known

}  // namespace

session_pool::~session_pool() {
  for (const auto& one : all()) one->retire();
}

std::vector<std::shared_ptr<client_session>> session_pool::all() {
  std::vector<std::shared_ptr<client_session>> found;
  std::lock_guard hold(mu_);
  for (const auto& [key, h] : hosts_) {
    found.insert(found.end(), h.sessions.begin(), h.sessions.end());
  }
  return found;
}

void session_pool::close_idle() {
  for (const auto& one : all()) one->retire_if_idle();
}

void session_pool::forget(const std::string& key, const client_session& gone) {
  std::shared_ptr<client_session> last;  // its end is not under the lock
  std::lock_guard hold(mu_);
  auto h = hosts_.find(key);
  if (h == hosts_.end()) return;
  auto& sessions = h->second.sessions;
  auto at = std::ranges::find(sessions, &gone, &std::shared_ptr<client_session>::get);
  if (at == sessions.end()) return;
  last = std::move(*at);
  sessions.erase(at);
  if (sessions.empty() && h->second.dialing == nullptr) hosts_.erase(h);
}

route session_pool::adopt(const std::string& key, const net::conn& c) {
  route made;
  made.session =
      client_session::start(c, options_, [pool = weak_from_this(), key](client_session& gone) {
        if (auto self = pool.lock()) self->forget(key, gone);
      });
  made.session->reserve();
  std::lock_guard hold(mu_);
  host& h = hosts_[key];
  h.speaks_http1 = false;
  h.sessions.push_back(made.session);
  return made;
}

result<route> session_pool::take(const context& ctx, const std::string& key, bool may_reuse,
                                 const dial& dial) {
  for (;;) {
    std::shared_ptr<attempt> others;
    {
      std::unique_lock hold(mu_);
      host& h = hosts_[key];
      if (h.speaks_http1) return route();
      if (may_reuse) {
        for (const auto& one : h.sessions) {
          if (one->reserve()) return route{.session = one, .reused = true, .other = {}};
        }
      }
      if (h.dialing == nullptr) return dial_locked(hold, ctx, key, dial);
      others = h.dialing;
    }
    if (select(recv(others->done), recv(ctx.done())) == 1) return std::unexpected(ctx.err());
    if (others->why && !others->given_up) return std::unexpected(others->why);
    may_reuse = true;  // what there is now is new
  }
}

result<route> session_pool::dial_locked(std::unique_lock<mutex>& hold, const context& ctx,
                                        const std::string& key, const dial& dial) {
  auto own = std::make_shared<attempt>();
  hosts_[key].dialing = own;
  hold.unlock();
  // Also if dialing throws.
  struct ending {
    session_pool& self;
    const std::string& key;
    attempt& own;
    ~ending() {
      {
        std::lock_guard again(self.mu_);
        host& h = self.hosts_[key];
        h.dialing = nullptr;
        if (h.sessions.empty() && !h.speaks_http1) self.hosts_.erase(key);
      }
      own.done.close();
    }
  } until_end{*this, key, *own};
  own->given_up = true;
  auto made = dial();
  own->given_up = static_cast<bool>(ctx.err());
  if (!made) {
    own->why = made.error();
    return std::unexpected(own->why);
  }
  bool plain = key.starts_with("http ");
  if (plain || made->protocol() == "h2") return adopt(key, *made);
  std::lock_guard again(mu_);
  if (hosts_.size() > hosts_max) {
    std::erase_if(hosts_, [](const auto& one) {
      return one.second.sessions.empty() && one.second.dialing == nullptr;
    });
  }
  hosts_[key].speaks_http1 = true;
  return route{.session = nullptr, .reused = false, .other = std::move(*made)};
}

}  // namespace runnel::http::h2
