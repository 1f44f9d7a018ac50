// tcp_echo: a server sends back what it gets, a goroutine per connection; a load generator in another process exchanges
// messages of 64 bytes over 100 connections. Time of a message. Warm-up: a tenth of the messages.
#include <runnel/go.h>
#include <runnel/net.h>

#include "common/arguments.h"
#include "common/load.h"
#include "common/metrics.h"

namespace {

void serve(const runnel::net::conn& c) {
  char buffer[4096];
  for (;;) {
    auto n = c.read(buffer);
    if (!n || *n == 0) return;
    if (!c.write(std::string_view(buffer, *n))) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const std::string prefix = bench::share_cpus(args.procs);
  runnel::run(runnel::options{.max_procs = args.procs}, [&] {
    auto listener = runnel::net::listen("tcp", "127.0.0.1:0").value();
    runnel::go([listener] {
      while (auto c = listener.accept()) runnel::go([c = *c] { serve(c); });
    });
    const std::string arguments =
        std::to_string(listener.addr().port()) + " 100 " + std::to_string(args.scaled(200'000));
    const double ns =
        runnel::blocking([&] { return bench::run_load(prefix, "bench_echo_load", arguments); });
    bench::print_metrics({{"ns_per_message", ns}});
  });
}
