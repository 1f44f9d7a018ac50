// Answers at once, slowly, or when it is told to. Prints its URL; ends with its standard input.

#include <runnel/http.h>
#include <runnel/runnel.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

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
  runnel::http::server server;
  server.handle("GET /fast/{n}",
                [](request& req, response& res) { res.write(req.path_value("n")); });
  server.handle("GET /slow/{n}", [](request& req, response& res) {
    runnel::sleep(50ms);
    res.write(req.path_value("n"));
  });
  server.handle("GET /held/{gate}", [&](request& req, response& res) {
    held.pass(req.path_value("gate"));
    res.write("released");
  });
  server.handle("GET /open/{gate}", [&](request& req, response& res) {
    held.open(req.path_value("gate"));
    res.write("done");
  });
  auto listener = runnel::net::listen("tcp", "127.0.0.1:0");
  if (!listener) return 1;
  std::printf("http://%s/\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  runnel::go([&] {
    runnel::blocking([] { return std::getchar(); });
    server.shutdown(runnel::background());
  });
  return server.serve(*listener) == runnel::http::errc::server_closed ? 0 : 1;
}

}  // namespace

int main() { return runnel::run(serve); }
