#include "runnel/http/server.h"

#include <algorithm>

#include "base/check.h"
#include "base/text_writer.h"
#include "net/http/server_connection.h"
#include "net/http/server_core.h"
#include "runnel/go.h"
#include "runnel/panic.h"
#include "runnel/select.h"
#include "sched/stack_printer.h"

namespace runnel::http {
namespace {

constexpr duration last_accepts = std::chrono::milliseconds(5);
constexpr std::size_t log_stack_size = 1 << 20;  // looking up lines takes more than goroutines have

}  // namespace

struct server::impl : server_core {
  using server_core::server_core;
};

void server_core::add(server_connection& c) {
  std::lock_guard hold(mu);
  c.next = first;
  if (first != nullptr) first->prev = &c;
  first = &c;
  if (closed) c.close();
}

void server_core::remove(server_connection& c) {
  std::lock_guard hold(mu);
  (c.prev != nullptr ? c.prev->next : first) = c.next;
  if (c.next != nullptr) c.next->prev = c.prev;
}

void server_core::log(std::string_view line, const std::exception_ptr& thrown) const {
  std::string text(line);
  std::span<void* const> stack;
  try {
    std::rethrow_exception(thrown);
  } catch (const panic_error& e) {
    text.append(": ").append(e.what());
    stack = e.backtrace();
  } catch (const std::exception& e) {
    text.append(": ").append(e.what());
  } catch (...) {
    text.append(": an exception of unknown type");
  }
  text += '\n';
  if (!stack.empty()) {
    wait_group printed;
    printed.add(1);
    go({.name = "http log", .stack_size = log_stack_size}, [&] {
      {
        sched::stack_printer stacks(false);
        base::text_writer out(text);
        stacks.print(out, stacks.below_the_throw(stack));
      }
      printed.done();
    });
    printed.wait();
  }
  if (options.log) {
    options.log(text);
  } else {
    base::write_error(text);
  }
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
      server_connection served(*core, c);
      struct place {
        server_core& core;
        server_connection& served;
        place(server_core& s, server_connection& c) : core(s), served(c) { core.add(served); }
        ~place() { core.remove(served); }
      } here(*core, served);
      served.run();
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
    for (server_connection* c = self->first; c != nullptr; c = c->next) c->drain_locked();
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
  for (server_connection* c = impl_->first; c != nullptr; c = c->next) c->close();
}

}  // namespace runnel::http
