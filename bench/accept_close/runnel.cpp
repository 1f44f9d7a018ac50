// accept_close: a server accepts connections and closes them at once, each on a goroutine of its own; a load generator in
// another process keeps 64 of them under way. Time of a connection. Warm-up: a tenth of them.
#include <runnel/go.h>
#include <runnel/net.h>

#include "common/arguments.h"
#include "common/load.h"
#include "common/metrics.h"

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const std::string prefix = bench::share_cpus(args.procs);
  runnel::run(runnel::options{.max_procs = args.procs}, [&] {
    auto listener = runnel::net::listen("tcp", "127.0.0.1:0").value();
    runnel::go([listener] {
      while (auto c = listener.accept()) runnel::go([c = *c] { c.close(); });
    });
    const std::string arguments =
        std::to_string(listener.addr().port()) + " 64 " + std::to_string(args.scaled(20'000));
    const double ns =
        runnel::blocking([&] { return bench::run_load(prefix, "bench_connect_load", arguments); });
    bench::print_metrics({{"ns_per_connection", ns}});
  });
}
