// Programs in which everybody finishes in the end, watched all the time: nobody may ever be reported as leaked. The one thing
// that some goroutine waits for is known, each time, in one odd place only.

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <ctime>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/debug.h"
#include "runnel/goroutine_local.h"
#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/seed.h"
#include "support/wait.h"

namespace {

using namespace runnel;
using namespace std::chrono_literals;

using signal_chan = chan<int>;

// The signal that stops a thread may end it early.
void pass_in_the_kernel(int us) {
  timespec time{0, us * 1000L};
  nanosleep(&time, nullptr);
}

// One to wait, and one who ends that later, and is the only one who can.
class plays {
 public:
  plays(wait_group& all, std::uint64_t seed) : all_(all), random_(seed) {}

  void one() {
    using play = void (plays::*)();
    static constexpr play list[] = {&plays::closure,
                                    &plays::computing,
                                    &plays::inside_a_channel,
                                    &plays::graph,
                                    &plays::plain_thread,
                                    &plays::waiting_all,
                                    &plays::locks,
                                    &plays::condition,
                                    &plays::selecting,
                                    &plays::not_begun,
                                    &plays::after,
                                    &plays::deadline,
                                    &plays::local,
                                    &plays::thrown,
                                    &plays::mapped,
                                    &plays::large,
                                    &plays::in_blocking,
                                    &plays::semaphores,
                                    &plays::slow_once,
                                    &plays::swapping,
                                    &plays::map_in_frame,
                                    &plays::chain,
                                    &plays::readers,
                                    &plays::erased,
                                    &plays::thread_local_variable,
                                    &plays::borrowed};
    (this->*list[random_.below(std::size(list))])();
  }

 private:
  // Somebody waits to receive from it.
  signal_chan awaited() {
    auto c = make_chan<int>();
    all_.go([c] { EXPECT_EQ(c.recv(), 1); });
    return c;
  }
  int a_while() { return static_cast<int>(random_.below(3000)); }

  static void pass_time(int us) {
    switch (us % 4) {
      case 0: sleep(std::chrono::microseconds(us)); break;
      case 1: blocking([us] { pass_in_the_kernel(us); }); break;
      case 2: test::compute_for(std::chrono::microseconds(us)); break;
      case 3:
        for (int i = 0; i < us / 100; ++i) yield();
        break;
    }
  }

  void closure() {
    all_.go([c = awaited(), us = a_while()] {
      pass_time(us);
      c.send(1);
    });
  }
  void computing() {
    all_.go([c = awaited(), us = a_while()]() mutable {
      signal_chan mine = std::move(c);
      test::compute_for(std::chrono::microseconds(us));
      mine.send(1);
    });
  }
  // Its address is an element of another channel, which is known to a sleeper.
  void inside_a_channel() {
    auto carrier = make_chan<signal_chan>(2);
    carrier.send(awaited());
    all_.go([carrier, us = a_while()] {
      pass_time(us);
      carrier.recv()->send(1);
    });
  }
  struct node {
    std::shared_ptr<node> next;
    signal_chan c;
  };
  void graph() {
    auto end = std::make_shared<node>(nullptr, awaited());
    auto first = end;
    for (int i = 0; i < 20; ++i) first = std::make_shared<node>(first, signal_chan());
    end.reset();
    all_.go([first, us = a_while()] {
      pass_time(us);
      node* at = first.get();
      while (at->next != nullptr) at = at->next.get();
      at->c.send(1);
    });
  }
  void plain_thread() {
    all_.add(1);
    std::thread([this, c = awaited(), us = a_while()] {
      pass_in_the_kernel(us);
      c.send(1);
      all_.done();
    }).detach();
  }
  void waiting_all() {
    auto group = std::make_shared<wait_group>();
    for (int i = 0; i < 4; ++i) {
      group->add(1);
      all_.go([group, us = a_while()] {
        pass_time(us);
        group->done();
      });
    }
    all_.go([group] { group->wait(); });
  }
  void locks() {
    auto mu = std::make_shared<mutex>();
    for (int i = 0; i < 4; ++i) {
      all_.go([mu, us = a_while() / 4] {
        std::lock_guard hold(*mu);
        pass_time(us);
      });
    }
  }
  void readers() {
    auto mu = std::make_shared<shared_mutex>();
    for (int i = 0; i < 6; ++i) {
      all_.go([mu, i, us = a_while() / 4] {
        if (i % 3 == 0) {
          mu->lock();
          pass_time(us);
          mu->unlock();
        } else {
          mu->lock_shared();
          pass_time(us);
          mu->unlock_shared();
        }
      });
    }
  }
  void condition() {
    struct state {
      mutex mu;
      cond<mutex> changed{mu};
      bool ready = false;
    };
    auto s = std::make_shared<state>();
    for (int i = 0; i < 3; ++i) {
      all_.go([s] {
        std::lock_guard hold(s->mu);
        s->changed.wait([&] { return s->ready; });
      });
    }
    all_.go([s, us = a_while()] {
      pass_time(us);
      std::lock_guard hold(s->mu);
      s->ready = true;
      s->changed.notify_all();
    });
  }
  void selecting() {
    auto a = make_chan<int>(), b = make_chan<int>();
    all_.go([a, b] {
      std::optional<int> got;
      select(recv(a, got), recv(b), recv(signal_chan()));
    });
    all_.go([a, us = a_while()] {
      pass_time(us);
      a.send(1);
    });
  }
  void not_begun() {
    for (int i = 0; i < 50; ++i) {
      all_.go([c = i % 10 == 0 ? awaited() : signal_chan()] {
        if (c) c.send(1);
      });
    }
  }
  void after() {
    after_func(std::chrono::microseconds(a_while()), [c = awaited()] { c.send(1); });
  }
  void deadline() {
    auto [ctx, cancel] = with_timeout(background(), std::chrono::microseconds(a_while()));
    all_.go([ctx = with_value<key>(ctx, 1)] { ctx.done().recv(); });
    static_cast<void>(cancel);
    all_.go([cancel] {
      sleep(5ms);
      cancel();
    });
  }
  struct key {
    using type = int;
  };
  static goroutine_local<signal_chan>& own() {
    static goroutine_local<signal_chan> variable;
    return variable;
  }
  void local() {
    all_.go([c = awaited(), us = a_while()]() mutable {
      own().get() = std::exchange(c, {});
      pass_time(us);
      own().get().send(1);
    });
  }
  void thrown() {
    all_.go([c = awaited(), us = a_while()]() mutable {
      try {
        throw std::exchange(c, {});
      } catch (const signal_chan&) {
        pass_time(us);
        try {
          throw;
        } catch (const signal_chan& mine) {
          mine.send(1);
        }
      }
    });
  }
  void mapped() {
    constexpr std::size_t size = 1 << 20, at = 77 * 4096 + 64;
    auto* memory = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ::new (memory + at) signal_chan(awaited());
    all_.go([memory, us = a_while()] {
      pass_time(us);
      auto* c = std::launder(reinterpret_cast<signal_chan*>(memory + at));
      c->send(1);
      c->~signal_chan();
      munmap(memory, size);
    });
  }
  // So large that malloc maps it alone.
  void large() {
    auto many = std::make_unique<std::vector<signal_chan>>(30'000);
    (*many)[random_.below(30'000)] = awaited();
    all_.go([many = std::move(many), us = a_while()] {
      pass_time(us);
      for (auto& c : *many) {
        if (c) c.send(1);
      }
    });
  }
  void in_blocking() {
    all_.go([c = awaited(), us = a_while()]() mutable {
      blocking([mine = std::exchange(c, {}), us] {
        pass_in_the_kernel(us);
        mine.try_send(1) || (go([mine] { mine.send(1); }), true);
      });
    });
  }
  void semaphores() {
    auto s = std::make_shared<semaphore>(2);
    for (int i = 0; i < 5; ++i) {
      all_.go([s, us = a_while() / 2] {
        s->acquire();
        pass_time(us);
        s->release();
      });
    }
  }
  void slow_once() {
    auto once_only = std::make_shared<once>();
    for (int i = 0; i < 4; ++i) {
      all_.go([once_only, us = a_while()] { once_only->call([us] { pass_time(us); }); });
    }
  }
  // Its address goes to and fro between two places, and is in a register only in between, all without the runtime.
  void swapping() {
    auto place =
        std::make_shared<std::pair<std::unique_ptr<signal_chan>, std::unique_ptr<signal_chan>>>();
    place->first = std::make_unique<signal_chan>(awaited());
    all_.go([place, us = a_while()] {
      auto end = test::clock::now() + std::chrono::microseconds(us);
      do {
        for (int i = 0; i < 1000; ++i) {
          place->second = std::move(place->first);
          place->first = std::move(place->second);
        }
      } while (test::clock::now() < end);
      place->first->send(1);
    });
  }
  void map_in_frame() {
    all_.go([c = awaited(), us = a_while()]() mutable {
      std::map<int, std::list<signal_chan>> frame;
      for (int i = 0; i < 30; ++i) frame[i * 7].emplace_back();
      frame[42].back() = std::exchange(c, {});
      pass_time(us);
      std::unordered_map<std::string, signal_chan> other;
      other["far longer than what a string has room for"] = std::exchange(frame[42].back(), {});
      frame.clear();
      pass_time(us / 2);
      other.begin()->second.send(1);
    });
  }
  // Each waits for the next; only the last is told.
  void chain() {
    auto next = make_chan<int>();
    auto last = next;
    for (int i = 0; i < 10; ++i) {
      auto before = make_chan<int>();
      all_.go([before, next] { before.send(next.recv().value_or(0)); });
      next = before;
    }
    all_.go([next] { EXPECT_EQ(next.recv(), 1); });
    all_.go([last = std::exchange(last, {}), us = a_while()] {
      pass_time(us);
      last.send(1);
    });
  }
  void erased() {
    std::variant<int, std::function<void()>> what = [c = awaited()] { c.send(1); };
    auto queue = std::make_shared<std::deque<std::variant<int, std::function<void()>>>>();
    for (int i = 0; i < 100; ++i) queue->emplace_back(i);
    queue->push_back(std::move(what));
    all_.go([queue, us = a_while()] {
      pass_time(us);
      std::get<1>(queue->back())();
    });
  }
  // In the closure of the one who waits.
  void borrowed() {
    all_.go([this, c = make_chan<int>(), us = a_while()] {
      all_.go([&c, us] {
        pass_time(us);
        c.send(1);
      });
      EXPECT_EQ(c.recv(), 1);
    });
  }
  void thread_local_variable() {
    all_.add(1);
    std::thread([this, c = awaited(), us = a_while()]() mutable {
      static thread_local signal_chan of_thread;
      of_thread = std::exchange(c, {});
      pass_in_the_kernel(us);
      of_thread.send(1);
      all_.done();
    }).detach();
  }

  wait_group& all_;
  base::random random_;
};

// Of those found, whoever has not leaked.
class watcher {
 public:
  void look() {
    for (const auto& one : debug::leaks()) {
      if (one.name == "leaked") {
        ++right;
      } else {
        wrong += to_string(one) + "\n";
      }
    }
    ++searches;
  }
  void look_until(const std::atomic<bool>& done) {
    while (!done && wrong.empty()) {
      look();
      sleep(200us);
    }
  }

  std::string wrong;
  int right = 0;
  int searches = 0;
};

TEST(leaks_stress, nobody_who_wakes_later_is_ever_reported) {
  const std::uint64_t seed = test::seed();
  RUNNEL_TRACE_SEED(seed);
  for (int procs : {1, 2, 8}) {
    run({.max_procs = procs}, [&] {
      std::atomic<bool> done{false};
      // That the searches see anything at all. Many, for old addresses may hide some.
      for (int i = 0; i < 20; ++i) go({.name = "leaked"}, [] { signal_chan().recv(); });
      watcher by_thread, by_goroutine;
      std::thread thread([&] { by_thread.look_until(done); });
      wait_group watching;
      watching.go([&] { by_goroutine.look_until(done); });
      wait_group all;
      std::vector<std::unique_ptr<plays>> players;
      for (std::uint64_t i = 0; i < 4; ++i) {
        players.push_back(std::make_unique<plays>(all, seed + i));
        all.go([&, player = players.back().get()] {
          for (int n = 0; n < test::scaled(300); ++n) {
            player->one();
            if (n % 16 == 0) sleep(1ms);
          }
        });
      }
      all.wait();
      // All have been woken; those that were sent to by a timer have been too.
      done = true;
      watching.wait();
      blocking([&] { thread.join(); });
      EXPECT_TRUE(by_thread.right + by_goroutine.right > 0 || test::sanitized);
      for (const watcher* w : {&by_thread, &by_goroutine}) {
        EXPECT_EQ(w->wrong, "");
      }
    });
  }
}

}  // namespace
