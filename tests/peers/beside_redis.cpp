// hiredis as it is: beside_redis <socket> [times].

#include <hiredis/hiredis.h>

#include <memory>

#include "beside.h"

namespace {

struct finish {
  void operator()(redisContext* c) const { redisFree(c); }
};
struct clear {
  void operator()(redisReply* r) const { freeReplyObject(r); }
};
using connection = std::unique_ptr<redisContext, finish>;
using reply = std::unique_ptr<redisReply, clear>;

connection connect(const std::string& where) {
  connection c(runnel::blocking([&] { return redisConnectUnix(where.c_str()); }));
  if (c != nullptr && c->err == 0) return c;
  std::fprintf(stderr, "%s\n", c != nullptr ? c->errstr : "no memory");
  std::exit(1);
}

template <class... Args>
reply command(redisContext* c, const char* format, Args... args) {
  return reply(static_cast<redisReply*>(redisCommand(c, format, args...)));
}

struct server {
  connection gate;
  std::vector<connection> of;
};

// A list of its own is empty: BLPOP answers nil when the time is up.
bool wait_in_vain(redisContext* c, int who) {
  reply r = command(c, "BLPOP nothing:%d %s", who, peers::slow_seconds(who).c_str());
  return r != nullptr && r->type == REDIS_REPLY_NIL;
}

bool echoes(redisContext* c, const std::string& text) {
  reply r = command(c, "ECHO %s", text.c_str());
  return r != nullptr && r->type == REDIS_REPLY_STRING && r->str == text;
}

peers::library make(const std::string& where, peers::calls how) {
  auto s = std::make_shared<server>();
  s->gate = connect(where);
  for (int i = 0; i < peers::goroutines; ++i) s->of.push_back(connect(where));
  auto ask = [s, how](int who, auto f) {
    redisContext* c = s->of[static_cast<std::size_t>(who)].get();
    return peers::call(how, [&] { return f(c); });
  };
  return {
      .ask =
          [ask](int who, int n) {
            return ask(who, [&](redisContext* c) {
              return n % 2 != 0 ? wait_in_vain(c, who) : echoes(c, std::to_string(1000 * who + n));
            });
          },
      .hold =
          [ask](int who) {
            return ask(who, [&](redisContext* c) {
              reply r = command(c, "BLPOP gate:%d 0", who);
              return r != nullptr && r->type == REDIS_REPLY_ARRAY;
            });
          },
      .release =
          [s, how] {
            bool right = true;
            for (int who = 0; who < peers::goroutines; ++who) {
              reply r =
                  peers::call(how, [&] { return command(s->gate.get(), "RPUSH gate:%d go", who); });
              right = r != nullptr && r->type == REDIS_REPLY_INTEGER && right;
            }
            return right;
          },
  };
}

}  // namespace

int main(int argc, char** argv) { return peers::beside(argc, argv, make); }
