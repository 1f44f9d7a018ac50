#include "runnel/http/server.h"

#include "net/http/server_core.h"
#include "runnel/go.h"
#include "runnel/select.h"

namespace runnel::http {
namespace {

constexpr duration last_accepts = std::chrono::milliseconds(5);

}  // namespace

struct server::impl : server_core {
  using server_core::server_core;
};

void server_core::add(served_connection& c) {
  std::lock_guard hold(mu);
  c.next = first;
  if (first != nullptr) first->prev = &c;
  first = &c;
  if (closed) c.close();
}

void server_core::remove(served_connection& c) {
  std::lock_guard hold(mu);
  (c.prev != nullptr ? c.prev->next : first) = c.next;
  if (c.next != nullptr) c.next->prev = c.prev;
}

server::server(server_options options) : impl_(std::make_shared<impl>(std::move(options))) {}

server::~server() {
  close();
  impl_->running.wait();
}

void server::handle(std::string_view pattern, handler f) {
  impl_->routes.handle(pattern, std::move(f));
}

void server::use(middleware m) { impl_->around.push_back(std::move(m)); }

std::error_code server::serve(const net::listener& on) {
  std::shared_ptr<impl> self = impl_;
  {
    std::lock_guard hold(self->mu);
    if (self->draining.load()) {
      on.close();
      return errc::server_closed;
    }
    if (!self->root) {
      handler root = self->routes;
      for (auto m = self->around.rbegin(); m != self->around.rend(); ++m) root = (*m)(root);
      self->root = std::move(root);
    }
    self->listeners.push_back(on);
    self->running.add(1);
  }
  struct accepting {
    wait_group& running;
    ~accepting() { running.done(); }
  } until_return{self->running};
  for (;;) {
    auto accepted = on.accept();
    if (!accepted) {
      if (!self->draining.load()) return accepted.error();
      on.close();
      return errc::server_closed;
    }
    self->running.go([core = static_cast<server_core*>(self.get()), c = std::move(*accepted)] {
      core->serve(c);
    });
  }
}

std::error_code server::shutdown(const context& ctx) {
  std::shared_ptr<impl> self = impl_;
  {
    std::lock_guard hold(self->mu);
    if (!self->draining.load()) {
      self->idle_until = std::chrono::steady_clock::now() + self->options.drain_timeout;
    }
    self->draining.store(true);
    // Those who are in the backlog have been let in as far as they know.
    time_point until = std::chrono::steady_clock::now() + last_accepts;
    for (const net::listener& one : self->listeners) one.set_deadline(until);
    for (served_connection* c = self->first; c != nullptr; c = c->next) c->drain_locked();
  }
  auto ended = make_chan<unit>(1);
  go([self, ended] {
    self->running.wait();
    ended.send(unit{});
  });
  if (select(recv(ended), recv(ctx.done())) == 0) return {};
  close();
  return ctx.err();
}

void server::close() {
  std::lock_guard hold(impl_->mu);
  impl_->draining.store(true);
  impl_->closed = true;
  for (const net::listener& one : impl_->listeners) one.close();
  for (served_connection* c = impl_->first; c != nullptr; c = c->next) c->close();
}

}  // namespace runnel::http
