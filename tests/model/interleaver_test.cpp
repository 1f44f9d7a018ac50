// The interleaver finds known bugs, proves the right versions of the same programs, and leaves no outcome out.

#include "model/interleaver.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/expect.h"

namespace runnel::model {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;

struct two_flags {
  sync::atomic<int> x{0}, y{0};
  int saw_x = -1, saw_y = -1;
};

// Each thread sets its flag, passes its fence, and looks at the other's.
template <class Left, class Right>
program_body store_buffering(Left left, Right right) {
  return [=](program& p) {
    auto& s = p.make<two_flags>();
    p.thread([&s, left] {
      s.x.store(1, relaxed);
      left();
      s.saw_y = s.y.load(relaxed);
    });
    p.thread([&s, right] {
      s.y.store(1, relaxed);
      right();
      s.saw_x = s.x.load(relaxed);
    });
    p.finally([&s] { check(s.saw_x == 1 || s.saw_y == 1, "one saw the other"); });
  };
}

TEST(interleaver, finds_store_buffering_without_fences) {
  EXPECT_TRUE(finds("one saw", store_buffering([] {}, [] {})));
}

TEST(interleaver, finds_store_buffering_with_a_fence_on_one_side) {
  EXPECT_TRUE(finds("one saw", store_buffering([] { sync::fence(); }, [] {})));
}

TEST(interleaver, proves_store_buffering_with_fences) {
  EXPECT_TRUE(proves(store_buffering([] { sync::fence(); }, [] { sync::fence(); })));
}

TEST(interleaver, finds_store_buffering_with_light_fences_alone) {
  EXPECT_TRUE(finds("one saw", store_buffering([] { sync::light_fence(); }, [] {})));
  EXPECT_TRUE(
      finds("one saw", store_buffering([] { sync::light_fence(); }, [] { sync::fence(); })));
}

TEST(interleaver, proves_an_asymmetric_fence) {
  EXPECT_TRUE(proves(store_buffering([] { sync::light_fence(); }, [] { sync::heavy_fence(); })));
}

TEST(interleaver, finds_a_store_that_follows_the_light_fence) {
  EXPECT_TRUE(finds("one saw", [](program& p) {
    auto& s = p.make<two_flags>();
    p.thread([&s] {
      s.saw_y = s.y.load(relaxed);
      sync::light_fence();
      s.x.store(1, relaxed);
    });
    p.thread([&s] {
      s.y.store(1, relaxed);
      sync::heavy_fence();
      s.saw_x = s.x.load(relaxed);
    });
    p.finally([&s] { check(s.saw_x == 1 || s.saw_y == 1, "one saw the other"); });
  }));
}

// Publishes plain data through a flag.
program_body message_passing(std::memory_order store_order, std::memory_order load_order) {
  return [=](program& p) {
    struct state {
      var<int> data;
      sync::atomic<int> ready{0};
    };
    auto& s = p.make<state>();
    p.thread([&s, store_order] {
      s.data = 42;
      s.ready.store(1, store_order);
    });
    p.thread([&s, load_order] {
      if (s.ready.load(load_order) == 1) check(s.data == 42, "the data are there");
    });
  };
}

TEST(interleaver, proves_message_passing) {
  EXPECT_TRUE(proves(message_passing(release, acquire)));
}

TEST(interleaver, finds_a_missing_release) {
  EXPECT_TRUE(finds("data race on s0: a write by T0", message_passing(relaxed, acquire)));
}

TEST(interleaver, finds_a_missing_acquire) {
  EXPECT_TRUE(finds("data race", message_passing(release, relaxed)));
}

TEST(interleaver, proves_message_passing_by_fences) {
  EXPECT_TRUE(proves([](program& p) {
    struct state {
      var<int> data;
      sync::atomic<int> ready{0};
    };
    auto& s = p.make<state>();
    p.thread([&] {
      s.data = 42;
      sync::fence();
      s.ready.store(1, relaxed);
    });
    p.thread([&] {
      if (s.ready.load(relaxed) == 0) return;
      sync::fence();
      check(s.data == 42, "the data are there");
    });
  }));
}

TEST(interleaver, keeps_a_release_sequence_through_read_modify_writes_only) {
  auto body = [](bool by_modifying) {
    return [=](program& p) {
      struct state {
        var<int> data;
        sync::atomic<int> ready{0};
      };
      auto& s = p.make<state>();
      p.thread([&] {
        s.data = 42;
        s.ready.store(1, release);
      });
      p.thread([&, by_modifying] {
        int one = 1;
        if (by_modifying) s.ready.compare_exchange_strong(one, 2, relaxed);
        if (!by_modifying && s.ready.load(relaxed) == 1) s.ready.store(2, relaxed);
      });
      p.thread([&] {
        if (s.ready.load(acquire) == 2) check(s.data == 42, "the data are there");
      });
    };
  };
  EXPECT_TRUE(proves(body(true)));
  EXPECT_TRUE(finds("data race", body(false)));
}

program_body counting(bool atomically) {
  return [=](program& p) {
    auto& count = p.make<sync::atomic<int>>(0);
    for (int i = 0; i < 3; ++i) {
      p.thread([&count, atomically] {
        if (atomically) {
          count.fetch_add(1, relaxed);
        } else {
          count.store(count.load(relaxed) + 1, relaxed);
        }
      });
    }
    p.finally([&count] { check(count.load() == 3, "all counted"); });
  };
}

TEST(interleaver, finds_a_counter_that_is_not_atomic) {
  EXPECT_TRUE(finds("all counted", counting(false)));
}

TEST(interleaver, proves_an_atomic_counter) { EXPECT_TRUE(proves(counting(true))); }

// Sleeps on a word until a flag is set. `careful`: the waker changes the word, so the sleeper's check sees it.
program_body waiting(bool careful) {
  return [=](program& p) {
    struct state {
      sync::atomic<std::uint32_t> word{0};
      sync::atomic<int> flag{0};
    };
    auto& s = p.make<state>();
    p.thread("sleeper", [&s] {
      for (;;) {
        std::uint32_t seen = s.word.load(acquire);
        if (s.flag.load(acquire) == 1) return;
        bed::sleep(s.word, seen, std::numeric_limits<std::int64_t>::max());
      }
    });
    p.thread("waker", [&s, careful] {
      s.flag.store(1, release);
      if (careful) s.word.fetch_add(1, release);
      bed::wake(s.word);
    });
  };
}

TEST(interleaver, finds_a_lost_wake_up) {
  EXPECT_TRUE(finds("deadlock: asleep for ever: T0 sleeper", waiting(false)));
}

TEST(interleaver, proves_check_then_sleep_on_a_changing_word) {
  EXPECT_TRUE(proves(waiting(true)));
}

TEST(interleaver, lets_a_deadline_pass_only_for_who_has_one) {
  auto body = [](std::int64_t deadline, bool& timed_out, bool& woken) {
    return [&timed_out, &woken, deadline](program& p) {
      auto& word = p.make<sync::atomic<std::uint32_t>>(0u);
      p.thread([&, deadline] { (bed::sleep(word, 0, deadline) ? woken : timed_out) = true; });
      p.thread([&] {
        word.store(1);
        bed::wake(word);
      });
    };
  };
  bool timed_out = false, woken = false;
  EXPECT_TRUE(proves(body(1, timed_out, woken)));
  EXPECT_TRUE(timed_out && woken);
  timed_out = woken = false;
  EXPECT_TRUE(proves(body(std::numeric_limits<std::int64_t>::max(), timed_out, woken)));
  EXPECT_TRUE(!timed_out && woken);
}

TEST(interleaver, fails_compare_exchange_weak_for_no_reason_when_asked_to) {
  auto body = [](program& p) {
    auto& a = p.make<sync::atomic<int>>(0);
    p.thread([&] {
      int zero = 0;
      check(a.compare_exchange_weak(zero, 1), "nobody else is here");
    });
  };
  EXPECT_TRUE(proves(body));
  EXPECT_TRUE(finds("nobody else", {.max_spurious = 1}, body));
}

// A Treiber stack over nodes that are used again.
struct stack {
  struct node {
    var<int> value;
    sync::atomic<node*> next{nullptr};
  };
  node nodes[3];
  sync::atomic<node*> top{nullptr};

  void push(node* n) {
    node* head = top.load(relaxed);
    do {
      n->next.store(head, relaxed);
    } while (!top.compare_exchange_weak(head, n, release, relaxed));
  }
  node* pop() {
    node* head = top.load(acquire);
    while (head != nullptr &&
           !top.compare_exchange_weak(head, head->next.load(relaxed), acquire, acquire)) {
    }
    return head;
  }
};

TEST(interleaver, proves_a_treiber_push) {
  EXPECT_TRUE(proves([](program& p) {
    auto& s = p.make<stack>();
    for (int i = 0; i < 3; ++i) {
      p.thread([&s, i] {
        s.nodes[i].value = i;
        s.push(&s.nodes[i]);
      });
    }
    p.finally([&s] {
      int seen = 0;
      for (stack::node* n = s.pop(); n != nullptr; n = s.pop()) seen |= 1 << n->value.get();
      check(seen == 7, "all are there");
    });
  }));
}

TEST(interleaver, finds_aba_in_a_naive_treiber_pop) {
  result r = explore({}, [](program& p) {
    auto& s = p.make<stack>();
    s.push(&s.nodes[1]);
    s.push(&s.nodes[0]);
    auto& taken = p.make<sync::atomic<int>>(0);
    auto take = [&s, &taken](stack::node* n) {
      if (n == nullptr) return;
      int own = 1 << (n - s.nodes);
      check((taken.fetch_or(own, relaxed) & own) == 0, "nobody else has it");
    };
    p.thread([&s, take] { take(s.pop()); });
    p.thread([&s, take] {
      stack::node* first = s.pop();
      take(s.pop());
      if (first != nullptr) s.push(first);
    });
    p.finally([&s, take] { take(s.pop()), take(s.pop()); });
  });
  EXPECT_FALSE(r.ok);
  EXPECT_NE(r.failure.find("nobody else has it"), std::string::npos) << r.trace;
}

TEST(interleaver, lets_a_spinning_thread_wait_for_another) {
  EXPECT_TRUE(proves([](program& p) {
    struct state {
      var<int> data;
      sync::atomic<int> ready{0};
    };
    auto& s = p.make<state>();
    p.thread([&] {
      while (s.ready.load(acquire) == 0) sync::pause();
      check(s.data == 1, "published");
    });
    p.thread([&] {
      s.data = 1;
      s.ready.store(1, release);
    });
  }));
}

TEST(interleaver, lets_one_thread_into_a_lock) {
  EXPECT_TRUE(proves([](program& p) {
    struct state {
      lock guard;
      var<int> sum;
    };
    auto& s = p.make<state>();
    for (int i = 0; i < 3; ++i) {
      p.thread([&s] {
        s.guard.acquire();
        s.sum += 1;
        s.guard.release();
      });
    }
    p.finally([&s] { check(s.sum == 3, "all counted"); });
  }));
}

TEST(interleaver, finds_locks_taken_in_two_orders) {
  EXPECT_TRUE(finds("deadlock", [](program& p) {
    struct state {
      lock one, other;
    };
    auto& s = p.make<state>();
    auto take = [](lock& first, lock& second) {
      first.acquire();
      second.acquire();
      second.release();
      first.release();
    };
    p.thread([&s, take] { take(s.one, s.other); });
    p.thread([&s, take] { take(s.other, s.one); });
  }));
}

TEST(interleaver, finds_a_livelock) {
  EXPECT_TRUE(finds("livelock: spin for ever: T0", [](program& p) {
    auto& ready = p.make<sync::atomic<int>>(0);
    p.thread([&] {
      while (ready.load(acquire) == 0) sync::pause();
    });
    p.thread([&] { ready.fetch_and(1); });
  }));
  EXPECT_TRUE(finds("a livelock?", [](program& p) {
    auto& ready = p.make<sync::atomic<int>>(0);
    p.thread([&] {
      while (ready.load(acquire) == 0) {
      }
    });
  }));
}

TEST(interleaver, lets_who_counts_its_spins_give_up) {
  EXPECT_TRUE(proves([](program& p) {
    auto& ready = p.make<sync::atomic<int>>(0);
    p.thread([&] {
      for (int i = 0; i < 3 && ready.load(acquire) == 0; ++i) sync::pause();
    });
  }));
}

TEST(interleaver, finds_data_destroyed_under_a_reader) {
  auto body = [](bool waits) {
    return [=](program& p) {
      struct state {
        std::optional<var<int>> data{std::in_place, 1};
        sync::atomic<int> done{0};
      };
      auto& s = p.make<state>();
      p.thread([&] {
        check(s.data->get() == 1, "alive");
        s.done.store(1, release);
      });
      p.thread([&, waits] {
        while (waits && s.done.load(acquire) == 0) sync::pause();
        s.data.reset();
      });
    };
  };
  EXPECT_TRUE(proves(body(true)));
  EXPECT_TRUE(finds("data race", body(false)));
}

TEST(interleaver, bounds_preemptions) {
  // Two preemptions are needed: between the load and the store of both.
  auto body = counting(false);
  EXPECT_TRUE(proves({.max_preemptions = 0}, [](program& p) {
    auto& count = p.make<sync::atomic<int>>(0);
    for (int i = 0; i < 2; ++i) p.thread([&] { count.store(count.load(relaxed) + 1); });
    p.finally([&] { check(count.load() == 2, "both counted"); });
  }));
  EXPECT_TRUE(finds("all counted", {.max_preemptions = 1}, body));
}

TEST(interleaver, says_when_it_is_not_complete) {
  result r = explore({.max_executions = 3}, counting(true));
  EXPECT_TRUE(r.ok);
  EXPECT_FALSE(r.complete);
}

// What remains of all that the threads of a litmus test may see.
std::set<std::vector<int>> outcomes(
    const std::function<void(program&, two_flags&, std::vector<int>&)>& set_up, int registers) {
  std::set<std::vector<int>> all;
  EXPECT_TRUE(proves([&](program& p) {
    auto& flags = p.make<two_flags>();
    auto& r = p.make<std::vector<int>>(registers);
    set_up(p, flags, r);
    p.finally([&] { all.insert(r); });
  }));
  return all;
}

TEST(interleaver, has_the_outcomes_of_tso_and_no_others) {
  using results = std::set<std::vector<int>>;
  // Store buffering.
  EXPECT_EQ(outcomes(
                [](program& p, two_flags& f, std::vector<int>& r) {
                  p.thread([&] { f.x.store(1, relaxed), r[0] = f.y.load(relaxed); });
                  p.thread([&] { f.y.store(1, relaxed), r[1] = f.x.load(relaxed); });
                },
                2),
            (results{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
  // Load buffering.
  EXPECT_EQ(outcomes(
                [](program& p, two_flags& f, std::vector<int>& r) {
                  p.thread([&] { r[0] = f.x.load(relaxed), f.y.store(1, relaxed); });
                  p.thread([&] { r[1] = f.y.load(relaxed), f.x.store(1, relaxed); });
                },
                2),
            (results{{0, 0}, {0, 1}, {1, 0}}));
  // Message passing: stores stay in order.
  EXPECT_EQ(outcomes(
                [](program& p, two_flags& f, std::vector<int>& r) {
                  p.thread([&] { f.x.store(1, relaxed), f.y.store(1, relaxed); });
                  p.thread([&] { r[0] = f.y.load(relaxed), r[1] = f.x.load(relaxed); });
                },
                2),
            (results{{0, 0}, {0, 1}, {1, 1}}));
  // Independent reads of independent writes: all see one order.
  EXPECT_EQ(outcomes(
                [](program& p, two_flags& f, std::vector<int>& r) {
                  p.thread([&] { f.x.store(1, relaxed); });
                  p.thread([&] { f.y.store(1, relaxed); });
                  p.thread([&] { r[0] = f.x.load(relaxed), r[1] = f.y.load(relaxed); });
                  p.thread([&] { r[2] = f.y.load(relaxed), r[3] = f.x.load(relaxed); });
                },
                4)
                .count({1, 0, 1, 0}),
            0u);
  // A thread sees its own store before anybody else does (n6 of the x86-TSO papers).
  EXPECT_EQ(outcomes(
                [](program& p, two_flags& f, std::vector<int>& r) {
                  p.thread([&] {
                    f.x.store(1, relaxed);
                    r[0] = f.x.load(relaxed), r[1] = f.y.load(relaxed);
                  });
                  p.thread([&] { f.y.store(2, relaxed), f.x.store(2, relaxed); });
                  p.finally([] {});
                },
                2),
            (results{{1, 0}, {1, 2}, {2, 2}}));
}

}  // namespace
}  // namespace runnel::model
