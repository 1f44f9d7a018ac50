// The C++ exception state is the goroutine's: parking inside handlers and during unwinding changes nothing.

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using namespace std::chrono_literals;
using runnel::run;

// Moves the goroutine to other threads, as far as a goroutine can bring that about.
void wander(int i) {
  switch (i % 4) {
    case 0: runnel::sleep(1us * (1 + i % 50)); break;
    case 1: runnel::blocking([] {}); break;
    default: runnel::yield();
  }
}

int failures_among(int goroutines, const std::function<bool(int)>& f) {
  return run({.max_procs = 8}, [&] {
    std::atomic<int> failed{0};
    runnel::wait_group wg;
    for (int i = 0; i < goroutines; ++i) wg.go([&, i] { failed += !f(i); });
    wg.wait();
    return failed.load();
  });
}

bool current_is(int expected) {
  try {
    std::exception_ptr e = std::current_exception();
    if (!e) return false;
    std::rethrow_exception(e);
  } catch (int value) {
    return value == expected;
  }
}

TEST(exceptions, a_handler_that_parks_keeps_its_current_exception) {
  EXPECT_EQ(failures_among(test::alive(5000),
                           [](int i) {
                             bool ok = true;
                             try {
                               throw i;
                             } catch (int caught) {
                               for (int k = 0; k < 4; ++k) {
                                 wander(i + k);
                                 ok &= caught == i && current_is(i);
                               }
                             }
                             return ok && !std::current_exception();
                           }),
            0);
}

TEST(exceptions, nested_handlers_that_park_keep_their_order) {
  EXPECT_EQ(failures_among(test::alive(3000),
                           [](int i) {
                             bool ok = true;
                             try {
                               throw i;
                             } catch (int) {
                               wander(i);
                               try {
                                 throw i + 1;
                               } catch (int) {
                                 wander(i + 1);
                                 ok &= current_is(i + 1);
                               }
                               wander(i + 2);
                               ok &= current_is(i);
                             }
                             return ok;
                           }),
            0);
}

TEST(exceptions, a_handler_that_has_parked_can_rethrow) {
  EXPECT_EQ(failures_among(test::alive(3000),
                           [](int i) {
                             try {
                               try {
                                 throw std::to_string(i);
                               } catch (...) {
                                 wander(i);
                                 throw;
                               }
                             } catch (const std::string& text) {
                               wander(i + 1);
                               return text == std::to_string(i);
                             }
                             return false;
                           }),
            0);
}

struct parks_while_unwinding {
  int number;
  int expected_uncaught;
  std::atomic<int>& wrong;
  ~parks_while_unwinding() {
    for (int k = 0; k < 3; ++k) {
      if (std::uncaught_exceptions() != expected_uncaught) ++wrong;
      wander(number + k);
    }
    if (std::uncaught_exceptions() != expected_uncaught) ++wrong;
  }
};

TEST(exceptions, a_destructor_that_parks_during_unwinding_sees_its_own_uncaught_exceptions) {
  std::atomic<int> wrong{0};
  EXPECT_EQ(failures_among(test::alive(3000),
                           [&](int i) {
                             {
                               parks_while_unwinding calm{i, 0, wrong};
                             }
                             try {
                               parks_while_unwinding guard{i, 1, wrong};
                               throw i;
                             } catch (int caught) {
                               return caught == i && std::uncaught_exceptions() == 0;
                             }
                             return false;
                           }),
            0);
  EXPECT_EQ(wrong, 0);
}

struct throws_and_catches_while_unwinding {
  int number;
  std::atomic<int>& wrong;
  ~throws_and_catches_while_unwinding() {
    try {
      parks_while_unwinding guard{number, 2, wrong};
      throw number + 1;
    } catch (int caught) {
      wander(number);
      if (caught != number + 1 || std::uncaught_exceptions() != 1) ++wrong;
    }
  }
};

TEST(exceptions, a_destructor_may_throw_park_and_catch_during_unwinding) {
  std::atomic<int> wrong{0};
  EXPECT_EQ(failures_among(test::alive(2000),
                           [&](int i) {
                             try {
                               throws_and_catches_while_unwinding guard{i, wrong};
                               throw i;
                             } catch (int caught) {
                               return caught == i;
                             }
                             return false;
                           }),
            0);
  EXPECT_EQ(wrong, 0);
}

TEST(exceptions, an_exception_can_be_carried_to_another_goroutine) {
  EXPECT_EQ(failures_among(test::alive(500),
                           [](int i) {
                             std::exception_ptr carried;
                             runnel::wait_group wg;
                             wg.go([&] {
                               try {
                                 throw i;
                               } catch (...) {
                                 carried = std::current_exception();
                               }
                             });
                             wg.wait();
                             try {
                               std::rethrow_exception(carried);
                             } catch (int caught) {
                               return caught == i;
                             }
                           }),
            0);
}

TEST(exceptions, a_new_goroutine_has_none_even_when_spawned_in_a_handler) {
  EXPECT_EQ(failures_among(test::alive(500),
                           [](int i) {
                             std::atomic<bool> clean{false};
                             runnel::wait_group wg;
                             try {
                               throw i;
                             } catch (int) {
                               wg.go([&] {
                                 clean =
                                     !std::current_exception() && std::uncaught_exceptions() == 0;
                               });
                               wg.wait();
                             }
                             return clean.load();
                           }),
            0);
}

TEST(exceptions, a_goroutine_frozen_inside_a_handler_leaves_nothing_to_its_thread) {
  run({.max_procs = 4}, [] {
    for (int i = 0; i < 100; ++i) {
      runnel::go([i] {
        try {
          throw i;
        } catch (int) {
          for (;;) wander(i);
        }
      });
    }
    runnel::sleep(5ms);
  });
  EXPECT_EQ(failures_among(200,
                           [](int i) {
                             bool clean = !std::current_exception();
                             wander(i);
                             return clean && !std::current_exception();
                           }),
            0);
}

}  // namespace
