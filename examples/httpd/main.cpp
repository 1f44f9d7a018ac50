// A small web server: routes, JSON, static files, metrics.
//
//   ./dev run httpd 127.0.0.1:8080 docs
//   curl -i localhost:8080/api/notes -d 'buy milk'; curl localhost:8080/api/notes/1; curl localhost:8080/metrics
//
// Requests run on goroutines: handlers block as they like. What they share is locked.

#include <runnel/http.h>
#include <runnel/runnel.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace {

using runnel::http::handler;
using runnel::http::request;
using runnel::http::response;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

class notes {
 public:
  void list(request&, response& res) {
    res.header("Content-Type", "application/json");
    std::lock_guard hold(mu_);
    const char* separator = "[";
    for (const auto& [id, text] : all_) {
      res.write(separator + quoted(text));
      separator = ",";
    }
    res.write(all_.empty() ? "[]\n" : "]\n");
  }
  void add(request& req, response& res) {
    std::string text(req.body());
    std::lock_guard hold(mu_);
    int id = ++last_;
    all_[id] = text;
    res.status(201).header("Location", "/api/notes/" + std::to_string(id));
  }
  void get(request& req, response& res) {
    std::lock_guard hold(mu_);
    auto found = all_.find(std::atoi(req.path_value("id").c_str()));
    if (found == all_.end()) return res.error(404);
    res.header("Content-Type", "application/json").write(quoted(found->second) + "\n");
  }

 private:
  runnel::mutex mu_;
  std::map<int, std::string> all_;
  int last_ = 0;
};

struct metrics {
  std::atomic<long> requests{0};
  std::atomic<long> under_way{0};

  handler count(handler next) {
    return [this, next](request& req, response& res) {
      ++requests;
      ++under_way;
      runnel::defer done([this] { --under_way; });
      next(req, res);
    };
  }
  void show(request&, response& res) {
    res.write("http_requests_total " + std::to_string(requests) + "\n");
    res.write("http_requests_under_way " + std::to_string(under_way) + "\n");
    res.write("goroutines " + std::to_string(runnel::num_goroutine()) + "\n");
  }
};

int serve(const std::string& address, const std::string& directory) {
  notes store;
  metrics counted;
  runnel::http::server server;
  server.use([&](handler next) { return counted.count(std::move(next)); });
  server.use(runnel::http::gzip);
  server.handle("GET /api/notes", [&](request& req, response& res) { store.list(req, res); });
  server.handle("POST /api/notes", [&](request& req, response& res) { store.add(req, res); });
  server.handle("GET /api/notes/{id}", [&](request& req, response& res) { store.get(req, res); });
  server.handle("GET /metrics", [&](request& req, response& res) { counted.show(req, res); });
  server.handle("GET /", runnel::http::file_server(directory));

  auto listener = runnel::net::listen("tcp", address);
  if (!listener) {
    std::fprintf(stderr, "httpd: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("http://%s/\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  std::error_code why = server.serve(*listener);
  std::fprintf(stderr, "httpd: %s\n", why.message().c_str());
  return why == runnel::http::errc::server_closed ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: httpd <address> <directory>\n");
    return 2;
  }
  return runnel::run(serve, std::string(argv[1]), std::string(argv[2]));
}
