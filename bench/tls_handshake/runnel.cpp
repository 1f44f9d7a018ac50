// tls_handshake: a server shakes hands by TLS 1.3, with an RSA key of 2048 bits, and closes the connection, each on a goroutine
// of its own; a load generator in another process keeps 16 under way. Time of a handshake. Warm-up: a tenth of them.
#include <runnel/go.h>
#include <runnel/net.h>
#include <runnel/net/tls.h>

#include "common/arguments.h"
#include "common/certificate.h"
#include "common/load.h"
#include "common/metrics.h"

namespace net = runnel::net;

int main(int argc, char** argv) {
  const bench::arguments args(argc, argv);
  const std::string prefix = bench::share_cpus(args.procs);
  const bench::certificate own;
  runnel::run(runnel::options{.max_procs = args.procs}, [&] {
    net::tls_config config;
    config.certificate_file = own.certificate_file();
    config.key_file = own.key_file();
    const auto tls = net::tls_context::make(config, net::tls_context::role::server).value();
    auto listener = net::listen("tcp", "127.0.0.1:0").value();
    runnel::go([listener, tls] {
      while (auto c = listener.accept()) {
        runnel::go([c = *c, tls] {
          if (auto secure = net::tls_server(c, tls)) secure->close();
        });
      }
    });
    const std::string arguments =
        std::to_string(listener.addr().port()) + " 16 " + std::to_string(args.scaled(1'500));
    const double ns =
        runnel::blocking([&] { return bench::run_load(prefix, "bench_tls_load", arguments); });
    bench::print_metrics({{"ns_per_handshake", ns}});
  });
}
