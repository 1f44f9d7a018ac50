// redis: workers that take jobs from a list in Redis and put the results into another, by hiredis as it is: BLPOP blocks, and only
// the goroutine that called it waits.
//
// A server for trying it:
//   redis-server --port 0 --unixsocket /tmp/redis.sock --save '' &
//   ./dev run redis /tmp/redis.sock

#include <hiredis/hiredis.h>
#include <runnel/runnel.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace std::chrono_literals;

constexpr const char* usage =
    "usage: redis <the server's socket>\n"
    "Doubles a thousand numbers with fifty workers, by way of the lists jobs and results.\n";

struct finish {
  void operator()(redisContext* c) const { redisFree(c); }
};
struct clear {
  void operator()(redisReply* r) const { freeReplyObject(r); }
};
using connection = std::unique_ptr<redisContext, finish>;
using reply = std::unique_ptr<redisReply, clear>;
using pool = runnel::connection_pool<connection>;

runnel::result<connection> connect(const std::string& path) {
  connection c(runnel::blocking([&] { return redisConnectUnix(path.c_str()); }));
  if (c != nullptr && c->err == 0) return c;
  std::fprintf(stderr, "redis: %s\n", c != nullptr ? c->errstr : "no memory");
  return std::unexpected(make_error_code(std::errc::not_connected));
}

// blocking() only says it beforehand: without it, others might wait up to a millisecond, until the runtime has noticed.
template <class... Args>
reply command(pool& connections, const char* format, Args... args) {
  auto c = connections.get();
  if (!c) return nullptr;
  redisContext* raw = (*c)->get();
  auto* r = static_cast<redisReply*>(
      runnel::blocking([&] { return redisCommand(raw, format, args...); }));
  if (r == nullptr) c->discard();  // hiredis: the context cannot be used again
  return reply(r);
}

int work(const std::string& path) {
  constexpr int workers = 50, jobs = 1000;
  // A worker keeps a connection while it waits for a job, so there are more connections than workers.
  pool connections(
      {.max_open = workers + 10, .max_idle = workers + 10}, [&] { return connect(path); },
      [](connection& c) { return c->err == 0; });
  if (command(connections, "DEL jobs results") == nullptr) return 1;
  runnel::wait_group all;
  for (int w = 0; w < workers; ++w) {
    all.go([&] {
      for (;;) {
        reply job = command(connections, "BLPOP jobs 10");
        if (job == nullptr || job->type != REDIS_REPLY_ARRAY) return;
        int n = std::atoi(job->element[1]->str);
        if (n < 0) return;
        command(connections, "RPUSH results %d", 2 * n);
      }
    });
  }
  for (int n = 0; n < jobs; ++n) {
    all.go([&, n] { command(connections, "RPUSH jobs %d", n); });
  }
  long sum = 0;
  int got = 0;
  for (; got < jobs; ++got) {
    reply result = command(connections, "BLPOP results 10");
    if (result == nullptr || result->type != REDIS_REPLY_ARRAY) break;
    sum += std::atol(result->element[1]->str);
  }
  for (int w = 0; w < workers; ++w) command(connections, "RPUSH jobs -1");
  all.wait();
  std::printf("%d results, their sum is %ld\n", got, sum);
  return got == jobs ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs(usage, stderr), 2;
  if (std::string_view(argv[1]) == "--help") return std::fputs(usage, stdout) < 0;
  return runnel::run(work, std::string(argv[1]));
}
