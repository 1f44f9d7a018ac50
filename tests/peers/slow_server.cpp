// Answers at once, slowly, or when it is told to. Prints its URL. Lines of its standard input are orders: "open <gate>",
// "shutdown"; its end means the same as the latter.

#include <runnel/http.h>
#include <runnel/runnel.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using runnel::http::request;
using runnel::http::response;

namespace {

// Gates by their names: whoever comes to one waits until it is opened, for good.
class gates {
 public:
  void pass(const std::string& name) { bar(name).recv(); }
  void open(const std::string& name) { bar(name).close(); }

 private:
  runnel::chan<runnel::unit> bar(const std::string& name) {
    std::lock_guard hold(mu_);
    return bars_.try_emplace(name, runnel::make_chan<runnel::unit>()).first->second;
  }

  runnel::mutex mu_;
  std::map<std::string, runnel::chan<runnel::unit>> bars_;
};

int serve() {
  gates held;
  std::atomic<int> waiting{0};
  runnel::http::server server;
  server.handle("GET /fast/{n}",
                [](request& req, response& res) { res.write(req.path_value("n")); });
  server.handle("GET /slow/{n}", [](request& req, response& res) {
    std::string n = req.path_value("n");
    runnel::sleep(50ms + std::chrono::microseconds(std::atoi(n.c_str()) / 4));  // not all at once
    res.write(n);
  });
  server.handle("GET /held/{gate}", [&](request& req, response& res) {
    ++waiting;
    runnel::defer left([&] { --waiting; });
    held.pass(req.path_value("gate"));
    res.write("released");
  });
  server.handle("GET /held", [&](request&, response& res) { res.write(std::to_string(waiting)); });
  server.handle("GET /open/{gate}", [&](request& req, response& res) {
    held.open(req.path_value("gate"));
    res.write("done");
  });
  auto listener = runnel::net::listen("tcp", "127.0.0.1:0");
  if (!listener) return 1;
  std::printf("http://%s/\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  runnel::wait_group drained;
  drained.add(1);
  runnel::go([&] {
    bool draining = false;
    auto drain = [&] {
      if (std::exchange(draining, true)) return;
      runnel::go([&] {
        server.shutdown(runnel::background());
        drained.done();
      });
    };
    std::string line;
    while (runnel::blocking([&] { return bool(std::getline(std::cin, line)); })) {
      if (line.starts_with("open ")) held.open(line.substr(5));
      if (line == "shutdown") drain();
    }
    drain();
  });
  std::error_code why = server.serve(*listener);
  drained.wait();
  return why == runnel::http::errc::server_closed ? 0 : 1;
}

}  // namespace

int main() { return runnel::run(serve); }
