// libpq as it is: beside_postgres <connection string> [times].

#include <libpq-fe.h>

#include <memory>

#include "beside.h"

namespace {

struct finish {
  void operator()(PGconn* c) const { PQfinish(c); }
};
struct clear {
  void operator()(PGresult* r) const { PQclear(r); }
};
using connection = std::unique_ptr<PGconn, finish>;

connection connect(const std::string& where) {
  connection c(runnel::blocking([&] { return PQconnectdb(where.c_str()); }));
  if (PQstatus(c.get()) == CONNECTION_OK) return c;
  std::fprintf(stderr, "%s", PQerrorMessage(c.get()));
  std::exit(1);
}

bool answers(PGconn* c, const std::string& query, const std::string& right) {
  std::unique_ptr<PGresult, clear> r(PQexec(c, query.c_str()));
  return PQresultStatus(r.get()) == PGRES_TUPLES_OK && PQgetvalue(r.get(), 0, 0) == right;
}

struct server {
  connection gate;  // holds the lock
  std::vector<connection> of;
};

peers::library make(const std::string& where, peers::calls how) {
  auto s = std::make_shared<server>();
  s->gate = connect(where);
  for (int i = 0; i < peers::goroutines; ++i) s->of.push_back(connect(where));
  runnel::blocking(
      [&] { return answers(s->gate.get(), "select 1 from pg_advisory_lock(7)", "1"); });
  auto ask = [s, how](int who, const std::string& query, const std::string& right) {
    PGconn* c = s->of[static_cast<std::size_t>(who)].get();
    return peers::call(how, [&] { return answers(c, query, right); });
  };
  return {
      .ask =
          [ask](int who, int n) {
            std::string number = std::to_string(1000 * who + n);
            return ask(who,
                       "select " + number +
                           (n % 2 != 0 ? ", pg_sleep(" + peers::slow_seconds(who) + ")" : ""),
                       number);
          },
      .hold =
          [ask](int who) {
            return ask(who, "select 1, pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7)",
                       "1");
          },
      .release =
          [s, how] {
            return peers::call(
                how, [&] { return answers(s->gate.get(), "select pg_advisory_unlock(7)", "t"); });
          },
  };
}

}  // namespace

int main(int argc, char** argv) { return peers::beside(argc, argv, make); }
