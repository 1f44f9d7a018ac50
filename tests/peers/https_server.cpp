// https_server ADDRESS DIRECTORY [CERTIFICATE KEY]: what examples/httpd serves, in few words, and over TLS with HTTP/2 if it has a
// certificate. Prints its URL.
#include <runnel/http.h>
#include <runnel/net/tls.h>
#include <runnel/runnel.h>

#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

namespace {

using runnel::http::request;
using runnel::http::response;

int serve(const std::vector<std::string>& arguments) {
  runnel::http::server_options options;
  if (arguments.size() > 2) {
    runnel::net::tls_config config;
    config.certificate_file = arguments[2];
    config.key_file = arguments[3];
    config.protocols = {"h2", "http/1.1"};
    auto tls = runnel::net::tls_context::make(config, runnel::net::tls_context::role::server);
    if (!tls) {
      std::fprintf(stderr, "%s\n", tls.error().message().c_str());
      return 1;
    }
    options.handshake = [tls = *tls](const runnel::net::conn& c) {
      return runnel::net::tls_server(c, tls);
    };
  }
  runnel::http::server server(options);
  runnel::mutex mu;
  std::vector<std::string> notes;
  server.use(runnel::http::gzip);
  server.handle("POST /api/notes", [&](request& req, response& res) {
    std::string text(req.body());
    std::lock_guard hold(mu);
    notes.push_back(text);
    res.status(201).header("Location", "/api/notes/" + std::to_string(notes.size() - 1));
  });
  server.handle("GET /api/notes/{id}", [&](request& req, response& res) {
    std::lock_guard hold(mu);
    res.write("\"" + notes.at(std::stoul(req.path_value("id"))) + "\"\n");
  });
  server.handle("GET /hello", [](request& req, response& res) { res.write(req.proto()); });
  server.handle("POST /echo", [](request& req, response& res) {
    res.header("Content-Type", "application/octet-stream").trailer("X-Bytes", "");
    std::string piece(10'000, '\0');
    std::size_t all = 0;
    for (;;) {
      auto n = req.read(piece);
      if (!n || *n == 0) break;
      all += *n;
      if (res.write({piece.data(), *n})) return;
    }
    res.trailer("X-Bytes", std::to_string(all));
  });
  server.handle("GET /", runnel::http::file_server(arguments[1]));

  auto listener = runnel::net::listen("tcp", arguments[0]);
  if (!listener) return 1;
  std::printf("%s://%s/\n", options.handshake ? "https" : "http",
              listener->addr().to_string().c_str());
  std::fflush(stdout);
  std::error_code why = server.serve(*listener);
  std::fprintf(stderr, "%s\n", why.message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  return runnel::run(serve, std::vector<std::string>(argv + 1, argv + argc));
}
