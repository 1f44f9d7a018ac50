// Whatever a client sends: a server neither breaks, nor understands it differently when it comes in other pieces.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "memory_stream.h"
#include "net/http/server_connection.h"

namespace runnel {
namespace {

http::server_core& server() {
  static http::server_core& made = *[] {
    http::server_options options;
    options.max_header_bytes = 2048;
    options.max_body_bytes = 4096;
    auto* core = new http::server_core(options);
    core->routes.handle("/{x}", [](http::request& req, http::response& res) {
      res.header("X", req.path_value("x").empty() ? "" : "some");
      res.write(req.method());
      res.write(req.path());
      res.write(req.query("q"));
      res.write(req.body());
      for (const auto& f : req.trailers()) res.write(f.name + f.value);
    });
    core->routes.handle("/unread/{$}", [](http::request&, http::response& res) { res.write("u"); });
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

// Without dates, and without 100 Continue, which is left out when the body is there already.
std::string answers_to(std::string_view text, std::size_t piece) {
  auto stream = std::make_shared<fuzz::memory_stream>(text, piece);
  http::server_connection c(server(), net::conn(stream));
  c.run();
  std::string all = std::move(stream->written);
  constexpr std::string_view date = "\r\nDate: ";
  for (std::size_t at = 0; (at = all.find(date, at)) != std::string::npos;) {
    all.erase(at, date.size() + http::date_size);
  }
  constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  for (std::size_t at = 0; (at = all.find(go_on, at)) != std::string::npos;) {
    all.erase(at, go_on.size());
  }
  return all;
}

}  // namespace
}  // namespace runnel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string whole = runnel::answers_to(text, size);
  std::string pieces = runnel::answers_to(text, 1 + size % 5);
  if (whole != pieces) {
    std::fprintf(stderr, "in one piece:\n%s\nin several:\n%s\n", whole.c_str(), pieces.c_str());
    std::abort();
  }
  return 0;
}
