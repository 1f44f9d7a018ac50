// Whatever a client sends after the preface: a server of HTTP/2 does not break, and every handler that has begun returns.

#include <cstdint>
#include <cstdlib>
#include <thread>

#include "memory_stream.h"
#include "net/http2/server_session.h"
#include "runnel/chan.h"
#include "runnel/go.h"

namespace runnel {
namespace {

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

http::server_core& server() {
  static http::server_core& made = *[] {
    // For good: handlers run on goroutines.
    std::thread([] { run([] { make_chan<unit>().recv(); }); }).detach();
    http::server_options options;
    options.max_header_bytes = 2048;
    options.max_body_bytes = 4096;
    options.max_concurrent_streams = 10;
    auto* core = new http::server_core(options);
    core->routes.handle("/{x...}", [](http::request& req, http::response& res) {
      res.header("X", req.path_value("x").empty() ? "" : "some");
      res.trailer("Y", "");
      res.write(req.method());
      res.write(req.query("q"));
      res.write(req.body());
      for (const auto& f : req.trailers()) res.write(f.name + f.value);
    });
    core->routes.handle("/unread/{$}", [](http::request&, http::response& res) { res.write("u"); });
    core->routes.handle("/long", [](http::request&, http::response& res) {
      std::string piece(20'000, 'x');
      while (!res.write(piece)) {
      }
    });
    core->routes.handle("/wait",
                        [](http::request& req, http::response&) { req.ctx().done().recv(); });
    core->routes.handle("/part", [](http::request& req, http::response& res) {
      char piece[7];
      if (auto n = req.read(piece); n) res.write(std::to_string(*n != 0));
      res.flush();
    });
    core->root = core->routes;
    return core;
  }();
  return made;
}

void serve(std::string_view text, std::size_t piece) {
  auto stream = std::make_shared<fuzz::memory_stream>(text, piece);
  http::h2::server_session session(server(), net::conn(stream));
  session.run(preface);
}

}  // namespace
}  // namespace runnel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with(runnel::preface)) text.remove_prefix(runnel::preface.size());
  runnel::serve(text, size + 1);
  runnel::serve(text, 1 + size % 50);
  return 0;
}
