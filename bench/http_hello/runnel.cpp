// http_hello: a server answers every request with thirteen bytes; wrk asks over 100 connections. Time of a request. Warm-up: a
// second.
#include <runnel/go.h>
#include <runnel/http.h>

#include <algorithm>

#include "common/arguments.h"
#include "common/load.h"
#include "common/metrics.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const std::string prefix = bench::share_cpus(args.procs);
  runnel::run(runnel::options{.max_procs = args.procs}, [&] {
    runnel::http::server server;
    server.handle("GET /{$}", [](runnel::http::request&, runnel::http::response& res) {
      res.write("Hello, World!");
    });
    auto listener = runnel::net::listen("tcp", "127.0.0.1:0").value();
    runnel::go([&server, listener] { server.serve(listener); });
    const std::string arguments = std::to_string(listener.addr().port()) + " 100 " +
                                  std::to_string(std::max<std::size_t>(args.scaled(2), 1));
    const double ns =
        runnel::blocking([&] { return bench::run_load(prefix, "bench_http_load", arguments); });
    bench::print_metrics({{"ns_per_request", ns}});
  });
}
