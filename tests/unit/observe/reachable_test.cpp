// debug::leaks: who can still be reached is not listed, wherever the one address lies by which that is possible.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "platform/thread.h"
#include "runnel/debug.h"
#include "runnel/goroutine_local.h"
#include "runnel/runnel.h"
#include "support/wait.h"
#include "support/waiting.h"

namespace {

using namespace runnel;
using namespace std::chrono_literals;

// Overwrites what earlier calls have left on the stack, and in registers.
[[gnu::noinline]] void wipe() {
  volatile char old[8192];
  for (std::size_t i = 0; i < sizeof old; ++i) old[i] = 0;
  asm volatile("" ::: "memory");
}

class reachable_test : public testing::Test {
 protected:
  // A channel from which somebody waits to receive.
  [[gnu::noinline]] chan<int> awaited() {
    auto c = make_chan<int>();
    waiters_.go(sched::wait_reason::chan_receive, [c] { c.recv(); });
    return c;
  }
  // A goroutine that has something in hand while it waits: hold(c, wait) is to call wait(), and then to send.
  template <class F>
  void holder(F hold) {
    waiters_.go(sched::wait_reason::chan_receive,
                [c = awaited(), go_on = go_on_, hold = std::move(hold)]() mutable {
                  hold(c, [&] { go_on.recv(); });
                });
  }
  // Nobody is listed after set_up(), whose frames are gone by then; and all go on after finish().
  template <class F, class G>
  void check(F set_up, G finish) {
    for (int procs : {1, 2, 8}) {
      SCOPED_TRACE(procs);
      run({.max_procs = procs}, [&] {
        go_on_ = make_chan<int>();
        apart(set_up);
        wipe();
        for (int i = 0; i < 3; ++i) {
          for (const auto& one : debug::leaks()) ADD_FAILURE() << to_string(one);
        }
        finish();
        go_on_.close();
        EXPECT_TRUE(waiters_.end_soon());
      });
    }
  }
  template <class F>
  void check(F set_up) {
    check(std::move(set_up), [] {});
  }
  template <class F>
  [[gnu::noinline]] static void apart(F& f) {
    f();
  }

  test::waiting_goroutines waiters_;
  chan<int> go_on_;
};

chan<int> global;
thread_local chan<int> of_thread;

// Not over a switch of threads: looked up anew.
[[gnu::noinline]] chan<int>& this_threads() {
  asm volatile("" ::: "memory");
  return of_thread;
}

TEST_F(reachable_test, by_a_global) {
  check([&] { global = awaited(); }, [] { std::exchange(global, {}).send(1); });
}

TEST_F(reachable_test, by_a_graph_of_shared_pointers) {
  struct node {
    std::shared_ptr<node> next;
    chan<int> c;
  };
  check([&] {
    holder([](chan<int>& c, auto wait) {
      auto first = std::make_shared<node>(nullptr, std::exchange(c, {}));
      for (int i = 0; i < 100; ++i) first = std::make_shared<node>(first, chan<int>());
      wait();
      while (first->next != nullptr) first = first->next;
      first->c.send(1);
    });
  });
}

TEST_F(reachable_test, by_a_map_in_the_frame_of_a_goroutine) {
  check([&] {
    holder([](chan<int>& c, auto wait) {
      std::map<int, std::list<chan<int>>> frame;
      for (int i = 0; i < 50; ++i) frame[i].emplace_back();
      frame[17].back() = std::exchange(c, {});
      wait();
      frame[17].back().send(1);
    });
  });
}

TEST_F(reachable_test, by_unordered_containers) {
  check([&] {
    holder([](chan<int>& c, auto wait) {
      std::unordered_map<std::string, std::deque<chan<int>>> frame;
      for (int i = 0; i < 50; ++i) frame[std::to_string(i)].resize(20);
      frame["33"][13] = std::exchange(c, {});
      wait();
      frame["33"][13].send(1);
    });
  });
}

TEST_F(reachable_test, by_an_element_in_a_channels_buffer) {
  check([&] {
    holder([](chan<int>& c, auto wait) {
      auto carrier = make_chan<chan<int>>(3);
      carrier.send(std::exchange(c, {}));
      wait();
      carrier.recv()->send(1);
    });
  });
}

TEST_F(reachable_test, by_a_thread_that_waits_in_the_kernel) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread thread;
  check(
      [&] {
        std::atomic<int> tid{0};
        thread = std::thread([&, &told = tid, c = awaited()]() mutable {
          chan<int> mine = std::exchange(c, {});
          told = platform::thread_id();
          char byte;
          EXPECT_EQ(read(ends[0], &byte, 1), 1);
          mine.send(1);
        });
        EXPECT_TRUE(test::eventually([&] { return tid != 0 && platform::thread_sleeps(tid); }));
      },
      [&] {
        EXPECT_EQ(write(ends[1], "x", 1), 1);
        blocking([&] { thread.join(); });
      });
  close(ends[0]);
  close(ends[1]);
}

// Nothing but a register has the address of the channel's handle while it spins; inverted, everything else.
void spin_with_register(std::uintptr_t inverted, std::atomic<bool>& spins,
                        std::atomic<bool>& done) {
#if defined(__x86_64__)
  asm volatile(
      "notq %0\n\t"
      "movb $1, (%1)\n\t"
      "1: movb (%2), %%al\n\t"
      "testb %%al, %%al\n\t"
      "jz 1b\n\t"
      "notq %0\n\t"
      : "+r"(inverted)
      : "r"(&spins), "r"(&done)
      : "al", "memory");
#elif defined(__aarch64__)
  asm volatile(
      "mvn %0, %0\n\t"
      "mov w9, #1\n\t"
      "strb w9, [%1]\n\t"
      "1: ldrb w9, [%2]\n\t"
      "cbz w9, 1b\n\t"
      "mvn %0, %0\n\t"
      : "+r"(inverted)
      : "r"(&spins), "r"(&done)
      : "x9", "memory");
#endif
}

std::uintptr_t inverted_handle(chan<int> c) {
  return ~reinterpret_cast<std::uintptr_t>(new chan<int>(std::move(c)));
}
void send_and_delete(std::uintptr_t inverted) {
  std::unique_ptr<chan<int>> c(reinterpret_cast<chan<int>*>(~inverted));
  c->send(1);
}

TEST_F(reachable_test, by_a_register_of_a_goroutine_that_computes) {
  std::atomic<bool> spins{false}, done{false};
  wait_group computing;
  check(
      [&] {
        spins = done = false;
        computing.go([&, inverted = inverted_handle(awaited())] {
          spin_with_register(inverted, spins, done);
          send_and_delete(inverted);
        });
        EXPECT_TRUE(test::eventually([&] { return spins.load(); }));
      },
      [&] {
        done = true;
        computing.wait();
      });
}

TEST_F(reachable_test, by_a_register_of_a_thread) {
  std::atomic<bool> spins{false}, done{false};
  std::thread thread;
  check(
      [&] {
        spins = done = false;
        thread = std::thread([&, inverted = inverted_handle(awaited())] {
          spin_with_register(inverted, spins, done);
          send_and_delete(inverted);
        });
        EXPECT_TRUE(test::eventually([&] { return spins.load(); }));
      },
      [&] {
        done = true;
        blocking([&] { thread.join(); });
      });
}

TEST_F(reachable_test, by_a_thread_local_of_a_thread) {
  std::atomic<bool> ready{false}, done{false};
  std::thread thread;
  check(
      [&] {
        ready = done = false;
        thread = std::thread([&, c = awaited()]() mutable {
          this_threads() = std::exchange(c, {});
          ready = true;
          while (!done) std::this_thread::yield();
          std::exchange(this_threads(), {}).send(1);
        });
        EXPECT_TRUE(test::eventually([&] { return ready.load(); }));
      },
      [&] {
        done = true;
        blocking([&] { thread.join(); });
      });
}

TEST_F(reachable_test, by_a_thread_local_of_a_thread_that_is_locked_to_a_goroutine) {
  check([&] {
    holder([](chan<int>& c, auto wait) {
      lock_os_thread();
      this_threads() = std::exchange(c, {});
      wait();
      std::exchange(this_threads(), {}).send(1);
      unlock_os_thread();
    });
  });
}

TEST_F(reachable_test, by_a_function_that_a_timer_will_call) {
  std::optional<after_func_timer> timer;
  check(
      [&] {
        timer.reset();
        auto t = after_func(1h, [c = awaited()] { c.send(1); });
        timer.emplace(t);
      },
      [&] { timer->reset(1ms); });
}

TEST_F(reachable_test, by_a_timer_whose_handles_are_gone) {
  check([&] { after_func(300ms, [c = awaited()] { c.send(1); }); });
}

TEST_F(reachable_test, by_the_deadline_of_a_context) {
  check([&] {
    waiters_.go(sched::wait_reason::chan_receive, [] {
      auto [ctx, cancel] = with_timeout(background(), 300ms);
      ctx.done().recv();
    });
  });
}

TEST_F(reachable_test, by_a_timers_channel) {
  check([&] { waiters_.go(sched::wait_reason::chan_receive, [] { after(300ms).recv(); }); });
}

TEST_F(reachable_test, by_a_timeout_of_its_own) {
  check([&] {
    waiters_.go(sched::wait_reason::select, [] { select(recv(make_chan<int>()), timeout(300ms)); });
    waiters_.go(sched::wait_reason::semaphore_acquire, [] {
      semaphore none(1);
      none.acquire();
      EXPECT_FALSE(none.acquire_for(300ms));
    });
  });
}

TEST_F(reachable_test, by_memory_that_the_program_has_mapped) {
  constexpr std::size_t size = 16 << 20;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& place = *reinterpret_cast<chan<int>*>(static_cast<char*>(memory) + 123 * 4096);
  check([&] { ::new (&place) chan<int>(awaited()); }, [&] { std::exchange(place, {}).send(1); });
  munmap(memory, size);
}

TEST_F(reachable_test, by_memory_that_may_only_be_read_just_now) {
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& place = *static_cast<chan<int>*>(memory);
  check(
      [&] {
        ::new (&place) chan<int>(awaited());
        EXPECT_EQ(mprotect(memory, 4096, PROT_READ), 0);
      },
      [&] {
        EXPECT_EQ(mprotect(memory, 4096, PROT_READ | PROT_WRITE), 0);
        std::exchange(place, {}).send(1);
      });
  munmap(memory, 4096);
}

TEST_F(reachable_test, by_memory_shared_with_other_processes) {
  void* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& place = *static_cast<chan<int>*>(memory);
  check([&] { ::new (&place) chan<int>(awaited()); }, [&] { std::exchange(place, {}).send(1); });
  munmap(memory, 8192);
}

TEST_F(reachable_test, by_a_vector_that_malloc_maps_alone) {
  check([&] {
    holder([](chan<int>& c, auto wait) {
      std::vector<chan<int>> many(100'000);
      many[77'777] = std::exchange(c, {});
      wait();
      many[77'777].send(1);
    });
  });
}

TEST_F(reachable_test, by_a_goroutine_inside_blocking) {
  std::atomic<bool> done{false};
  wait_group other;
  check(
      [&] {
        done = false;
        std::atomic<bool> inside{false};
        other.go([&, c = awaited()]() mutable {
          blocking([&, mine = std::exchange(c, {})]() mutable {
            chan<int> really_mine = std::exchange(mine, {});
            inside = true;
            while (!done) sched_yield();
            go([really_mine] { really_mine.send(1); });
          });
        });
        EXPECT_TRUE(test::eventually([&] { return inside.load(); }));
      },
      [&] {
        done = true;
        other.wait();
      });
}

TEST_F(reachable_test, by_an_exception_that_is_being_handled) {
  check([&] {
    holder([](chan<int>& c, auto wait) {
      try {
        throw std::exchange(c, {});
      } catch (...) {
        wait();
        try {
          throw;
        } catch (const chan<int>& mine) {
          mine.send(1);
        }
      }
    });
  });
}

TEST_F(reachable_test, by_a_goroutine_local) {
  static goroutine_local<chan<int>> own;
  check([&] {
    holder([](chan<int>& c, auto wait) {
      own.get() = std::exchange(c, {});
      wait();
      own->send(1);
    });
  });
}

TEST_F(reachable_test, by_a_reference_into_the_closure_of_whoever_waits) {
  std::atomic<std::uintptr_t> who{0};  // inverted: not to be found here
  std::atomic<bool> ended{false};
  check(
      [&] {
        who = 0;
        ended = false;
        // Not by a wait group's go, which moves the closure to the stack.
        go([&who, &ended, go_on = go_on_, c = make_chan<int>()] {
          go([go_on, &c] {
            go_on.recv();
            c.send(1);
          });
          who = ~reinterpret_cast<std::uintptr_t>(sched::current_m()->current);
          c.recv();
          ended = true;
        });
        EXPECT_TRUE(test::eventually([&] {
          auto* g = reinterpret_cast<sched::g*>(~who.load());
          return who != 0 && g->state == sched::g_state::waiting;
        }));
      },
      [&] {
        go_on_.close();
        EXPECT_TRUE(test::eventually([&] { return ended.load(); }));
        go_on_ = make_chan<int>();
      });
}

// With one P, and that busy: nobody comes to begin it.
TEST_F(reachable_test, by_the_closure_of_a_goroutine_that_has_not_begun) {
  run({.max_procs = 1}, [&] {
    go_on_ = make_chan<int>();
    auto set_up = [&] { go([c = awaited()] { c.send(1); }); };
    apart(set_up);
    // The search itself lets others run; so they are many, and it looks before they are all done.
    for (const auto& one : debug::leaks()) ADD_FAILURE() << to_string(one);
    EXPECT_TRUE(waiters_.end_soon());
  });
}

TEST_F(reachable_test, by_an_address_with_bits_of_the_programs_own_above) {
  static std::uintptr_t tagged;
  check(
      [&] {
        tagged = reinterpret_cast<std::uintptr_t>(new chan<int>(awaited())) | std::uintptr_t{0x5a}
                                                                                  << 56;
      },
      [&] {
        std::unique_ptr<chan<int>> c(
            reinterpret_cast<chan<int>*>(tagged & ~(std::uintptr_t{0xff} << 56)));
        tagged = 0;
        c->send(1);
      });
}

}  // namespace
