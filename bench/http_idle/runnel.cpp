// http_idle: the server of http_hello, loaded by wrk alone and again beside 10,000 connections that have made a request each
// and are left open: what each of them takes, resident pages and page tables, and the time of a request before and then.
#include <runnel/go.h>
#include <runnel/http.h>
#include <unistd.h>

#include <algorithm>

#include "common/arguments.h"
#include "common/load.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const std::string prefix = bench::share_cpus(args.procs);
  bench::allow_descriptors();
  runnel::run(runnel::options{.max_procs = args.procs}, [&] {
    runnel::http::server server;
    server.handle("GET /{$}", [](runnel::http::request&, runnel::http::response& res) {
      res.write("Hello, World!");
    });
    auto listener = runnel::net::listen("tcp", "127.0.0.1:0").value();
    runnel::go([&server, listener] { server.serve(listener); });
    const std::string arguments = std::to_string(listener.addr().port()) + " " +
                                  std::to_string(getpid()) + " " +
                                  std::to_string(args.scaled(10'000)) + " " +
                                  std::to_string(std::max<std::size_t>(args.scaled(2), 1));
    runnel::blocking([&] { bench::pass_load(prefix, "bench_idle_load", arguments); });
  });
}
