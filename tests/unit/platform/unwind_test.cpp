// Unwinding on a context's stack: exceptions inside it, the end of it, and state that moves with it.

#include <cxxabi.h>
#include <gtest/gtest.h>
#include <unwind.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "platform/exceptions.h"
#include "unit/platform/strand.h"

namespace runnel::platform {
namespace {

using test::strand;
using test::strands;

struct trace {
  std::vector<std::uintptr_t> addresses;
  _Unwind_Reason_Code end = _URC_NO_REASON;
};

// Static, as a body takes no more than the strands.
trace found;

[[gnu::noinline]] void take_trace() {
  found = {};
  found.end = _Unwind_Backtrace(
      [](_Unwind_Context* context, void*) {
        if (auto ip = _Unwind_GetIP(context)) found.addresses.push_back(ip);
        return found.addresses.size() < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
      },
      nullptr);
}

[[gnu::noinline]] void descend(int levels) {
  if (levels == 0) {
    take_trace();
  } else {
    descend(levels - 1);
  }
  asm volatile("");  // no tail call
}

TEST(unwind_test, a_trace_ends_in_the_entry_frame) {
  strands both([](strands&) { descend(5); });
  both.resume();
  EXPECT_EQ(found.end, _URC_END_OF_STACK);
  ASSERT_GE(found.addresses.size(), 7u);
  EXPECT_LT(found.addresses.size(), 20u);
  auto entry = reinterpret_cast<std::uintptr_t>(&runnel_context_entry);
  EXPECT_GT(found.addresses.back(), entry);
  EXPECT_LT(found.addresses.back(), entry + 64);
}

TEST(unwind_test, an_exception_is_caught_inside_a_context) {
  strands both([](strands& b) {
    static std::string caught;
    try {
      throw std::runtime_error("inside");
    } catch (const std::exception& e) {
      caught = e.what();
    }
    b.yield(&caught);
  });
  EXPECT_EQ(*static_cast<std::string*>(both.resume()), "inside");
}

TEST(unwind_test, unwinding_runs_the_destructors_of_every_frame) {
  strands both([](strands& b) {
    static int destroyed = 0;
    struct witness {
      ~witness() { ++destroyed; }
    };
    struct recursion {
      [[gnu::noinline]] static void go(int levels) {
        witness w;
        if (levels == 0) throw 7;
        go(levels - 1);
      }
    };
    int value = 0;
    try {
      recursion::go(99);
    } catch (int n) {
      value = n;
    }
    EXPECT_EQ(value, 7);
    b.yield(&destroyed);
  });
  EXPECT_EQ(*static_cast<int*>(both.resume()), 100);
}

TEST(unwind_test, an_exception_is_caught_after_a_switch_in_between) {
  strands both([](strands& b) {
    for (int i = 0; i < 3; ++i) {
      try {
        b.yield();
        throw i;
      } catch (int n) {
        EXPECT_EQ(n, i);
      }
    }
  });
  for (int i = 0; i < 4; ++i) both.resume();
  EXPECT_TRUE(both.ended);
}

TEST(unwind_death_test, an_exception_that_nobody_catches_terminates) {
  EXPECT_DEATH(
      {
        strands both([](strands&) { throw std::runtime_error("nobody's"); });
        both.resume();
      },
      "nobody's");
}

// What the scheduler does around a switch.
void resume_with_exceptions(strands& both, exception_state& theirs) {
  exception_state mine = thread_exception_state();
  thread_exception_state() = theirs;
  both.resume();
  theirs = thread_exception_state();
  thread_exception_state() = mine;
}

TEST(unwind_test, two_contexts_handle_exceptions_at_the_same_time) {
  strands both([](strands& b) {
    try {
      throw std::string("theirs");
    } catch (const std::string& caught) {
      b.yield();
      EXPECT_EQ(caught, "theirs");
      try {
        throw;  // what this context handles, whatever others did meanwhile
      } catch (const std::string& again) {
        EXPECT_EQ(&again, &caught);
      }
    }
  });
  exception_state theirs;
  try {
    throw std::string("ours");
  } catch (const std::string& caught) {
    resume_with_exceptions(both, theirs);
    EXPECT_NE(theirs.caught, nullptr);
    try {
      throw;
    } catch (const std::string& again) {
      EXPECT_EQ(again, "ours");
    }
    EXPECT_EQ(caught, "ours");
  }
  EXPECT_EQ(thread_exception_state(), exception_state{});
  resume_with_exceptions(both, theirs);
  EXPECT_TRUE(both.ended);
  EXPECT_EQ(theirs, exception_state{});
}

TEST(unwind_test, the_exceptions_in_flight_are_counted_for_each_context) {
  strands both([](strands& b) {
    struct witness {
      strands& b;
      ~witness() {
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        b.yield();
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    };
    try {
      witness w{b};
      throw 1;
    } catch (int) {
    }
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  });
  exception_state theirs;
  resume_with_exceptions(both, theirs);
  EXPECT_EQ(theirs.uncaught, 1u);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  resume_with_exceptions(both, theirs);
  EXPECT_TRUE(both.ended);
}

}  // namespace
}  // namespace runnel::platform
