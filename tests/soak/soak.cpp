// A soak: soak [seconds] [seed]. An HTTP server and an echo server, restarted at random under clients of every kind: polite ones,
// which keep connections, and ones that reset them, close half of them, read slowly, stop in the middle, lose patience.
//
// Again and again everybody rests, and what is left is compared: descriptors, goroutines, memory. No request of a client that keeps to the rules may have failed, in any phase.

#include <dirent.h>
#include <malloc.h>
#include <runnel/http.h>
#include <runnel/net.h>
#include <runnel/runnel.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/scale.h"

namespace {

using namespace std::chrono_literals;
namespace http = runnel::http;
namespace net = runnel::net;
using random_source = std::mt19937_64;

constexpr int clients_per_kind = 4;
constexpr int phases = 8;
constexpr std::size_t large_size = 400'000;
constexpr std::size_t heap_growth_max = 256 << 10;
constexpr std::size_t resident_growth_max = 24 << 20;

int below(random_source& rng, int n) {
  return static_cast<int>(rng() % static_cast<std::uint64_t>(n));
}
runnel::duration up_to(random_source& rng, std::chrono::microseconds most) {
  return std::chrono::microseconds(below(rng, static_cast<int>(most.count()) + 1));
}
std::string pattern(std::size_t size, std::size_t from = 0) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (from + i) % 23);
  return text;
}

struct tally {
  std::atomic<long> answered{0};
  std::atomic<long> rude{0};  // whose fate does not matter
  std::atomic<long> restarts{0};
  std::atomic<long> failed{0};

  void fail(const char* who, const std::string& why) {
    if (++failed <= 20) std::fprintf(stderr, "soak: %s: %s\n", who, why.c_str());
  }
};

// Keeps its address while servers come and go: each has a descriptor of its own for the one socket.
class address_of {
 public:
  address_of() : kept_(*net::listen("tcp", "127.0.0.1:0")) {}
  net::listener another() const { return *net::listener::from_fd(dup(kept_.fd())); }
  std::string text() const { return kept_.addr().to_string(); }

 private:
  net::listener kept_;
};

void add_routes(http::server& server) {
  server.handle("GET /small", [](http::request&, http::response& res) { res.write("small"); });
  server.handle("GET /large", [](http::request&, http::response& res) {
    for (std::size_t at = 0; at < large_size; at += 50'000) {
      if (res.write(pattern(50'000, at))) return;
    }
  });
  server.handle("POST /echo", [](http::request& req, http::response& res) {
    std::string_view body = req.body();
    res.header("Content-Length", std::to_string(body.size()));
    res.write(body);
  });
  server.handle("GET /slow", [](http::request& req, http::response& res) {
    runnel::select(runnel::recv(req.ctx().done()), runnel::timeout(50ms));
    res.write("slow");
  });
}

// One server after another, each shut down while the next one accepts already.
void serve_http(const address_of& at, random_source rng, const runnel::context& over, tally& t) {
  auto make = [&] {
    auto made = std::make_shared<http::server>(http::server_options{
        .read_header_timeout = 200ms, .idle_timeout = 1h, .drain_timeout = 1s});
    add_routes(*made);
    runnel::go([made, on = at.another()] { std::ignore = made->serve(on); });
    return made;
  };
  runnel::wait_group leaving;
  auto leave = [&](std::shared_ptr<http::server> old) {
    leaving.go([&t, old = std::move(old)] {
      auto [limit, cancel] = runnel::with_timeout(runnel::background(), 20s);
      if (auto late = old->shutdown(limit)) t.fail("shutdown", late.message());
      cancel();
    });
  };
  auto current = make();
  while (!over.err()) {
    runnel::select(runnel::recv(over.done()), runnel::timeout(100ms + up_to(rng, 400ms)));
    auto next = make();
    leave(std::move(current));
    current = std::move(next);
    ++t.restarts;
  }
  leave(std::move(current));
  leaving.wait();
}

void serve_echo(const net::listener& on) {
  while (auto accepted = on.accept()) {
    runnel::go([c = std::move(*accepted)] {
      char piece[8192];
      c.set_deadline(std::chrono::steady_clock::now() + 10s);
      for (;;) {
        auto n = c.read(piece);
        if (!n || *n == 0 || !c.write(std::string_view(piece, *n))) break;
      }
      c.close_write();
    });
  }
}

void reset(const net::conn& c) {
  linger at_once{1, 0};
  setsockopt(c.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  c.close();
}

// Speaks HTTP to the letter, and has no second try.
class strict_client {
 public:
  explicit strict_client(net::conn c) : conn_(std::move(c)) {
    conn_.set_deadline(std::chrono::steady_clock::now() + 30s);
  }
  const net::conn& conn() const { return conn_; }
  bool closed() const { return closed_; }

  // "": a failure, which why() tells.
  std::string exchange(const std::string& request) {
    if (auto n = conn_.write(request); !n) return failed(n.error().message());
    std::size_t end;
    while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return {};
    }
    std::string head = unread_.substr(0, end + 2);
    unread_.erase(0, end + 4);
    if (!head.starts_with("HTTP/1.1 200")) return failed(head);
    closed_ = head.find("\r\nConnection: close\r\n") != std::string::npos;
    std::size_t at = head.find("\r\nContent-Length: ");
    if (at == std::string::npos) return failed("no length: " + head);
    auto length = std::stoul(head.substr(at + 18));
    while (unread_.size() < length) {
      if (!more()) return {};
    }
    std::string body = unread_.substr(0, length);
    unread_.erase(0, length);
    return body;
  }
  const std::string& why() const { return why_; }

 private:
  std::string failed(const std::string& why) {
    why_ = why;
    return {};
  }
  bool more() {
    char piece[16384];
    auto n = conn_.read(piece);
    if (n && *n != 0) {
      unread_.append(piece, *n);
      return true;
    }
    why_ = n ? "the end instead of an answer" : n.error().message();
    return false;
  }

  net::conn conn_;
  std::string unread_;
  std::string why_;
  bool closed_ = false;
};

struct world {
  std::string http_address;
  std::string echo_address;
  http::client pool;
  tally& t;

  std::string url(const char* path) const { return "http://" + http_address + path; }
  std::optional<net::conn> dial(const char* who, const std::string& to) {
    auto c = net::dial("tcp", to);
    if (c) return *c;
    t.fail(who, c.error().message());
    return {};
  }
};

std::string get(const char* path) {
  return std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

void keep_alive(world& w, random_source& rng) {
  auto c = w.dial("keep_alive", w.http_address);
  if (!c) return;
  strict_client client(*c);
  for (int left = 1 + below(rng, 50); left > 0 && !client.closed(); --left) {
    if (client.exchange(get("/small")) != "small") return w.t.fail("keep_alive", client.why());
    ++w.t.answered;
    if (below(rng, 4) == 0) runnel::sleep(up_to(rng, 20ms));
  }
}

void half_close(world& w, random_source&) {
  auto c = w.dial("half_close", w.http_address);
  if (!c) return;
  std::string answer;
  char piece[4096];
  if (!c->write(get("/small")) || c->close_write()) return w.t.fail("half_close", "cannot write");
  for (;;) {
    auto n = c->read(piece);
    if (!n) return w.t.fail("half_close", n.error().message());
    if (*n == 0) break;
    answer.append(piece, *n);
  }
  if (!answer.ends_with("small")) return w.t.fail("half_close", "answer: " + answer);
  ++w.t.answered;
}

void slow_reader(world& w, random_source& rng) {
  auto got = w.pool.get(runnel::background(), w.url("/large"));
  if (!got) return w.t.fail("slow_reader", got.error().message());
  std::size_t received = 0;
  std::vector<char> room(2000 + static_cast<std::size_t>(below(rng, 60'000)));
  for (;;) {
    auto n = got->read(room);
    if (!n) return w.t.fail("slow_reader", n.error().message());
    if (*n == 0) break;
    if (room[0] != pattern(1, received)[0]) return w.t.fail("slow_reader", "other bytes");
    received += *n;
    if (below(rng, 4) == 0) runnel::sleep(up_to(rng, 10ms));
  }
  if (received != large_size) return w.t.fail("slow_reader", "too short");
  ++w.t.answered;
}

void post(world& w, random_source& rng) {
  std::string body =
      pattern(static_cast<std::size_t>(below(rng, below(rng, 2) ? 100 : 200'000)) + 1);
  auto c = w.dial("post", w.http_address);
  if (!c) return;
  strict_client client(*c);
  std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ";
  std::string answer = client.exchange(head + std::to_string(body.size()) + "\r\n\r\n" + body);
  if (answer != body) return w.t.fail("post", "not what was sent: " + client.why());
  ++w.t.answered;
}

void impatient(world& w, random_source& rng) {
  auto [ctx, cancel] = runnel::with_timeout(runnel::background(), up_to(rng, 60ms));
  if (auto got = w.pool.get(ctx, w.url("/slow"))) static_cast<void>(got->body());
  cancel();
  ++w.t.rude;
}

void dropper(world& w, random_source& rng) {
  if (auto got = w.pool.get(runnel::background(), w.url("/large"))) {
    char some[1000];
    if (below(rng, 2) == 0) static_cast<void>(got->read(some));
  }
  ++w.t.rude;
}

void resetter(world& w, random_source& rng) {
  auto c = w.dial("resetter", w.http_address);
  if (!c) return;
  static_cast<void>(c->write(get(below(rng, 2) == 0 ? "/large" : "/slow")));
  runnel::sleep(up_to(rng, 5ms));
  reset(*c);
  ++w.t.rude;
}

void loiterer(world& w, random_source& rng) {
  auto c = w.dial("loiterer", w.http_address);
  if (!c) return;
  std::string text = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
  static_cast<void>(c->write(text.substr(0, static_cast<std::size_t>(below(rng, 45)))));
  c->set_read_deadline(std::chrono::steady_clock::now() + 5s);
  char piece[1000];
  while (auto n = c->read(piece)) {
    if (*n == 0) break;
  }
  ++w.t.rude;
}

void echo(world& w, random_source& rng) {
  auto c = w.dial("echo", w.echo_address);
  if (!c) return;
  c->set_deadline(std::chrono::steady_clock::now() + 30s);
  std::size_t size = 1 + static_cast<std::size_t>(below(rng, 100'000));
  runnel::go([c = *c, size, pieces = 1 + below(rng, 5)] {
    std::string text = pattern(size);
    std::size_t step = size / static_cast<std::size_t>(pieces) + 1;
    for (std::size_t at = 0; at < size; at += step) {
      if (!c.write(std::string_view(text).substr(at, step))) return;
      runnel::yield();
    }
    c.close_write();
  });
  if (below(rng, 5) == 0) {  // loses patience, or worse
    c->set_read_deadline(std::chrono::steady_clock::now() + up_to(rng, 2ms));
    char piece[4096];
    while (auto n = c->read(piece)) {
      if (*n == 0) break;
    }
    below(rng, 2) == 0 ? reset(*c) : static_cast<void>(c->close());
    ++w.t.rude;
    return;
  }
  std::vector<std::byte> back(size + 1);
  auto n = c->read_full(back);
  if (!n || *n != size) return w.t.fail("echo", n ? "too short" : n.error().message());
  ++w.t.answered;
}

// ---------------------------------------------------------------------------------------------------------------------

struct left_over {
  int descriptors = 0;
  std::size_t goroutines = 0;
  std::size_t heap = 0;
  std::size_t resident = 0;
};

left_over measure() {
  left_over now;
  now.goroutines = runnel::num_goroutine();
  if (DIR* all = opendir("/proc/self/fd")) {
    while (dirent* entry = readdir(all)) now.descriptors += entry->d_name[0] != '.';
    closedir(all);
  }
  malloc_trim(0);
  now.heap = mallinfo2().uordblks;
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  now.resident = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return now;
}

// Everything runs for that long, and then rests.
left_over run_for(runnel::duration time, std::uint64_t seed, const address_of& http_at,
                  const address_of& echo_at, tally& t) {
  {
    net::listener echo_on = echo_at.another();
    world w{http_at.text(), echo_at.text(), http::client({.timeout = 30s}), t};
    auto [servers_over, end_servers] = runnel::with_cancel(runnel::background());
    auto [over, end] = runnel::with_timeout(runnel::background(), time);
    runnel::wait_group clients, servers;
    servers.go(
        [&, over = servers_over, seed] { serve_http(http_at, random_source(seed), over, t); });
    servers.go([&] { serve_echo(echo_on); });
    using kind = void (*)(world&, random_source&);
    for (kind each : {&keep_alive, &half_close, &slow_reader, &post, &impatient, &dropper,
                      &resetter, &loiterer, &echo}) {
      for (int i = 0; i < clients_per_kind; ++i) {
        clients.go([&w, each, over = over, rng = random_source(++seed)]() mutable {
          while (!over.err()) each(w, rng);
        });
      }
    }
    clients.wait();
    w.pool.close_idle();
    end_servers();
    echo_on.close();
    servers.wait();
    end();
  }
  // Who was rude has left some that wait for a deadline yet.
  for (int i = 0; i < 200 && runnel::num_goroutine() > 1; ++i) runnel::sleep(100ms);
  return measure();
}

void print(int phase, const left_over& l) {
  std::printf("%5d %12d %12zu %12zu %12zu\n", phase, l.descriptors, l.goroutines, l.heap,
              l.resident);
  std::fflush(stdout);
}

bool grows(const char* what, std::size_t before, std::size_t after, std::size_t most) {
  if (after <= before + most) return false;
  std::printf("%s: from %zu to %zu\n", what, before, after);
  return true;
}

int soak(runnel::duration time, std::uint64_t seed) {
  tally t;
  address_of http_at, echo_at;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::printf("phase  descriptors   goroutines         heap     resident\n");
  std::vector<left_over> after(phases);
  for (int i = 0; i < phases; ++i) {
    auto at = static_cast<std::size_t>(i);
    after[at] = run_for(time / phases, seed + 1000 * at, http_at, echo_at, t);
    print(i + 1, after[at]);
  }
  std::printf("%ld requests answered, %ld of the rude, %ld restarts, %ld failed\n",
              t.answered.load(), t.rude.load(), t.restarts.load(), t.failed.load());
  bool good = t.failed == 0 && t.answered > 100 && t.restarts >= phases;
  // Memory that is kept for reuse reaches what it takes in the first half, a leak goes on.
  const left_over& first = after.front();
  const left_over& middle = after[phases / 2 - 1];
  const left_over& last = after.back();
  good &= !grows("descriptors", static_cast<std::size_t>(first.descriptors),
                 static_cast<std::size_t>(last.descriptors), 0);
  good &= !grows("goroutines", 1, last.goroutines, 0);
  if (last.goroutines > 1) std::fputs(runnel::debug::stacks().c_str(), stderr);
  if (!test::sanitized) {  // they keep what was freed
    good &= !grows("heap", middle.heap, last.heap, heap_growth_max);
    good &= !grows("resident", middle.resident, last.resident, resident_growth_max);
  }
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  // What threads keep in malloc's caches of their own would look like growth.
  constexpr const char* tunables = "GLIBC_TUNABLES";
  if (std::getenv(tunables) == nullptr) {
    setenv(tunables, "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
  }
  auto time = std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 600);
  std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
  return runnel::run(soak, runnel::duration(time), seed);
}
