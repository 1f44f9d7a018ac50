// What happens to a connection that was accepted, and to what its handlers throw.

#include "net/http/server_core.h"

#include "base/check.h"
#include "base/text_writer.h"
#include "net/http/access.h"
#include "net/http/server_connection.h"
#include "runnel/go.h"
#include "runnel/panic.h"
#include "sched/stack_printer.h"
#if RUNNEL_HTTP2
#include "net/http2/server_session.h"
#endif

namespace runnel::http {
namespace {

constexpr std::size_t log_stack_size = 1 << 20;  // looking up lines takes more than goroutines have
constexpr duration fresh_grace = std::chrono::seconds(1);

// One whose handshake is under way.
class shaking_hands final : public served_connection {
 public:
  explicit shaking_hands(net::conn c) noexcept : conn_(std::move(c)) {}
  void drain_locked() noexcept override {
    conn_.set_deadline(std::chrono::steady_clock::now() + fresh_grace);
  }
  void close() noexcept override { std::ignore = conn_.close(); }

 private:
  const net::conn conn_;
};

result<net::conn> shake_hands(server_core& core, const net::conn& over) {
  shaking_hands under_way(over);
  duration limit = core.options.read_header_timeout;
  if (limit != duration::zero()) over.set_deadline(std::chrono::steady_clock::now() + limit);
  place_in_list here(core, under_way);
  return core.options.handshake(over);
}

#if RUNNEL_HTTP2
[[gnu::noinline]] void serve_http2(server_core& core, const net::conn& c, std::string_view begun) {
  auto session = std::make_unique<h2::server_session>(core, c);
  place_in_list here(core, *session);
  session->run(begun);
}
#endif

}  // namespace

void server_core::serve(const net::conn& accepted) {
  net::conn c = accepted;
  if (options.handshake) {
    auto secure = shake_hands(*this, accepted);
    if (!secure) {
      std::ignore = accepted.close();
      return;
    }
    c = std::move(*secure);
    c.set_deadline(time_point::max());
  }
#if RUNNEL_HTTP2
  if (c.protocol() == "h2") return serve_http2(*this, c, {});
#endif
  std::string begun;
  {
    server_connection one(*this, c);
    place_in_list here(*this, one);
    if (one.run() != server_connection::ending::preface) return;
    begun = one.unread();
  }
#if RUNNEL_HTTP2
  serve_http2(*this, c, begun);
#endif
}

bool server_core::answer(request& req, response& res, detail::response_sink* sink) {
  try {
    root(req, res);
    return true;
  } catch (...) {
    std::exception_ptr thrown = std::current_exception();
    if (runnel::detail::is_goexit(thrown)) throw;
    return answer_exception(req, res, sink, thrown);
  }
}

bool server_core::answer_exception(const request& req, response& res, detail::response_sink* sink,
                                   const std::exception_ptr& thrown) {
  int status = 500;
  std::string text;
  try {
    std::rethrow_exception(thrown);
  } catch (const abort_handler&) {
    return false;
  } catch (const status_error& e) {
    status = e.status();
    text = e.what();
  } catch (...) {
    log("http: panic serving " + req.remote().to_string(), thrown);
  }
  // The client must not take what there is for the whole.
  if (res.head_sent()) return false;
  response_access::reset(res, sink);
  res.error(status, text);
  return true;
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

}  // namespace runnel::http
