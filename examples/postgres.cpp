// postgres: a thousand goroutines query PostgreSQL through a pool of twenty connections. libpq is used as it is: it blocks, and only
// the goroutine that called it waits.
//
// A server for trying it, in a folder of its own (as root, before each of the two: runuser -u postgres --):
//   /usr/lib/postgresql/*/bin/initdb -D /tmp/pg -A trust
//   /usr/lib/postgresql/*/bin/postgres -D /tmp/pg -k /tmp -c listen_addresses= &
//   ./dev run postgres 'host=/tmp dbname=postgres user=postgres'      # user: who ran initdb

#include <libpq-fe.h>
#include <runnel/net.h>
#include <runnel/runnel.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace std::chrono_literals;

constexpr const char* usage =
    "usage: postgres [<connection string>]\n"
    "Asks a thousand times through twenty connections. libpq's own variables (PGHOST, …) count.\n";

struct finish {
  void operator()(PGconn* c) const { PQfinish(c); }
};
struct clear {
  void operator()(PGresult* r) const { PQclear(r); }
};
using connection = std::unique_ptr<PGconn, finish>;
using rows = std::unique_ptr<PGresult, clear>;
using pool = runnel::connection_pool<connection>;

// blocking() only says it beforehand: without it, others might wait up to a millisecond, until the runtime has noticed.
runnel::result<connection> connect(const std::string& where) {
  connection c(runnel::blocking([&] { return PQconnectdb(where.c_str()); }));
  if (PQstatus(c.get()) == CONNECTION_OK) return c;
  std::fprintf(stderr, "postgres: %s", PQerrorMessage(c.get()));
  return std::unexpected(make_error_code(std::errc::not_connected));
}

rows query(PGconn* c, const char* text, const std::string& parameter) {
  const char* values[] = {parameter.c_str()};
  return rows(runnel::blocking(
      [&] { return PQexecParams(c, text, 1, nullptr, values, nullptr, nullptr, 0); }));
}

// The same without a thread that waits: the goroutine parks until the server's answer comes.
rows query_parked(PGconn* c, const char* text, const std::string& parameter) {
  const char* values[] = {parameter.c_str()};
  if (PQsendQueryParams(c, text, 1, nullptr, values, nullptr, nullptr, 0) == 0) return nullptr;
  rows last;
  for (;;) {
    while (PQisBusy(c) != 0) {
      if (runnel::fd_wait(PQsocket(c), runnel::fd_event::readable)) return nullptr;
      if (PQconsumeInput(c) == 0) return nullptr;
    }
    rows next(PQgetResult(c));
    if (next == nullptr) return last;
    last = std::move(next);
  }
}

template <class Query>
bool ask_a_thousand_times(const char* what, pool& connections, Query ask) {
  std::atomic<long> sum{0}, failed{0};
  auto begun = std::chrono::steady_clock::now();
  runnel::wait_group all;
  for (int i = 0; i < 1000; ++i) {
    all.go([&, i] {
      auto [ctx, cancel] = runnel::with_timeout(runnel::background(), 30s);
      runnel::defer done(cancel);
      auto c = connections.get(ctx);
      if (!c) {
        ++failed;
        return;
      }
      rows r = ask((*c)->get(), "select $1::int * 2, pg_sleep(0.005)", std::to_string(i));
      if (PQresultStatus(r.get()) == PGRES_TUPLES_OK) {
        sum += std::atol(PQgetvalue(r.get(), 0, 0));
      } else {
        ++failed;
        c->discard();
      }
    });
  }
  all.wait();
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%s: the sum is %ld, %ld failed, %.2f s\n", what, sum.load(), failed.load(),
              took.count());
  return failed == 0;
}

int ask(const std::string& where) {
  pool connections(
      {.max_open = 20, .max_idle = 20, .max_idle_time = 60s}, [&] { return connect(where); },
      [](connection& c) { return PQstatus(c.get()) == CONNECTION_OK; });
  bool right = ask_a_thousand_times("blocking", connections, query) &&
               ask_a_thousand_times("parked", connections, query_parked);
  auto s = connections.stats();
  std::printf("%zu connections, %llu waits for one\n", s.open,
              static_cast<unsigned long long>(s.wait_count));
  return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") return std::fputs(usage, stdout) < 0;
  if (argc > 2) return std::fputs(usage, stderr), 2;
  return runnel::run(ask, std::string(argc > 1 ? argv[1] : ""));
}
