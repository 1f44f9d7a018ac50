// A small web server: routes, JSON, static files, metrics.
//
//   ./dev run httpd 127.0.0.1:8080 docs
//   curl -i localhost:8080/api/notes -d 'buy milk'; curl localhost:8080/api/notes/1; curl localhost:8080/metrics
//
// Requests run on goroutines: handlers block as they like. What they share is locked.
//
// SIGTERM and ^C: requests under way are finished, no more are accepted. SIGHUP: the program's file is started anew, with the
// listener of this process; when it is ready, this one ends in the same way, and no client notices. If the new one
// does not start, this one goes on and says why. httpd.service and httpd.socket beside this file run it under systemd,
// which may listen for it, and then learns of all that.

#include <runnel/http.h>
#include <runnel/net.h>
#include <runnel/runnel.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace signal = runnel::signal;
using runnel::http::handler;
using runnel::http::request;
using runnel::http::response;

constexpr auto start_limit = 30s;  // for the next process to be ready
constexpr auto drain_limit = 30s;  // for requests under way

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

// From systemd or the process before this one; otherwise our own.
runnel::result<runnel::net::listener> find_listener(const std::string& address) {
  auto given = runnel::net::inherited_listeners();
  if (!given) return std::unexpected(given.error());
  return given->empty() ? runnel::net::listen("tcp", address) : given->front().on;
}

// Says so while it lives, to whoever restarts what has died.
void keep_alive() {
  auto interval = runnel::systemd::watchdog_interval();
  if (!interval) return;
  runnel::go([every = *interval / 2] {
    for (runnel::ticker tick(every); tick.c().recv();) runnel::systemd::watchdog();
  });
}

// True: another process serves now, in our place.
bool replace(const runnel::context& stop, const runnel::net::listener& on) {
  runnel::systemd::reloading();
  auto [ctx, cancel] = runnel::with_timeout(stop, start_limit);
  auto next = runnel::net::start_successor(ctx, {{"http", on}});
  cancel();
  if (next) {
    std::fprintf(stderr, "httpd: %d goes on as %d\n", getpid(), *next);
    runnel::systemd::main_process(*next);
    return true;
  }
  std::string why = next.error().message();
  std::fprintf(stderr, "httpd: %d goes on: %s\n", getpid(), why.c_str());
  runnel::systemd::status("restart failed: " + why);
  runnel::systemd::ready();
  return false;
}

int serve(const std::string& address, const std::string& directory) {
  auto hangups = runnel::make_chan<int>(1);
  signal::notify(hangups, {SIGHUP});
  auto stop = signal::notify_context(runnel::background(), {SIGINT, SIGTERM});

  notes store;
  metrics counted;
  runnel::http::server server({.drain_timeout = 5s});
  server.use([&](handler next) { return counted.count(std::move(next)); });
  server.use(runnel::http::gzip);
  server.handle("GET /api/notes", [&](request& req, response& res) { store.list(req, res); });
  server.handle("POST /api/notes", [&](request& req, response& res) { store.add(req, res); });
  server.handle("GET /api/notes/{id}", [&](request& req, response& res) { store.get(req, res); });
  server.handle("GET /metrics", [&](request& req, response& res) { counted.show(req, res); });
  server.handle("GET /pid", [](request&, response& res) { res.write(std::to_string(getpid())); });
  server.handle("GET /", runnel::http::file_server(directory));

  auto listener = find_listener(address);
  if (!listener) {
    std::fprintf(stderr, "httpd: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("http://%s/\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  auto ended = runnel::make_chan<std::error_code>(1);
  runnel::go([&] { ended.send(server.serve(*listener)); });
  runnel::net::tell_predecessor();
  runnel::systemd::ready();
  keep_alive();

  bool replaced = false;
  std::optional<std::error_code> failed;
  while (!replaced && !failed && !stop.err()) {
    runnel::select(runnel::recv(hangups, [&](auto) { replaced = replace(stop, *listener); }),
                   runnel::recv(stop.done()), runnel::recv(ended, failed));
  }
  if (failed) {
    std::fprintf(stderr, "httpd: %s\n", failed->message().c_str());
    return 1;
  }
  stop.stop();  // who asks again does not wish to wait
  if (!replaced) runnel::systemd::stopping();
  auto [limit, cancel] = runnel::with_timeout(runnel::background(), drain_limit);
  std::error_code late = server.shutdown(limit);
  cancel();
  if (late) std::fprintf(stderr, "httpd: %s\n", late.message().c_str());
  return late ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: httpd <address> <directory>\n");
    return 2;
  }
  return runnel::run(serve, std::string(argv[1]), std::string(argv[2]));
}
