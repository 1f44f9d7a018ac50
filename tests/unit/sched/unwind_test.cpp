// Backtraces from inside a goroutine end at its entry: by the unwinder, and in gdb.

#include <gtest/gtest.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "platform/context.h"
#include "runnel/runnel.h"
#include "support/scale.h"
#include "support/wait.h"

// Where gdb stops. Its name is in the test's command line.
extern "C" [[gnu::noinline]] void runnel_test_stop_here() { asm volatile("" ::: "memory"); }

namespace {

using namespace std::chrono_literals;
using runnel::run;

struct trace {
  std::vector<std::uintptr_t> functions;
  _Unwind_Reason_Code end = _URC_NO_REASON;
};

[[gnu::noinline]] trace walk() {
  trace t;
  t.end = _Unwind_Backtrace(
      [](_Unwind_Context* context, void* argument) {
        auto& functions = static_cast<trace*>(argument)->functions;
        functions.push_back(_Unwind_GetRegionStart(context));
        return functions.size() < 200 ? _URC_NO_REASON : _URC_NORMAL_STOP;
      },
      &t);
  return t;
}

void expect_ends_at_the_entry(const trace& t) {
  EXPECT_EQ(t.end, _URC_END_OF_STACK);
  ASSERT_GE(t.functions.size(), 3U);
  auto last = t.functions.back();
  if (last == 0)
    last = t.functions[t.functions.size() - 2];  // the unwinder may report the end itself
  EXPECT_EQ(last, reinterpret_cast<std::uintptr_t>(&runnel_context_entry));
}

TEST(unwind, of_the_main_goroutine_ends_at_the_entry) {
  trace t = run([] { return walk(); });
  expect_ends_at_the_entry(t);
}

TEST(unwind, of_any_goroutine_ends_at_the_entry) {
  run({.max_procs = 1}, [] {
    trace fresh, after_park;
    runnel::wait_group wg;
    wg.go([&] {
      fresh = walk();
      runnel::sleep(10us);
      after_park = walk();
    });
    wg.wait();
    expect_ends_at_the_entry(fresh);
    expect_ends_at_the_entry(after_park);
    EXPECT_EQ(fresh.functions.size(), after_park.functions.size());
  });
}

TEST(unwind, of_a_goroutine_that_follows_another_on_its_stack_ends_at_the_entry) {
  run({.max_procs = 1}, [] {
    std::vector<std::size_t> depths;
    for (int i = 0; i < 5; ++i) {
      trace t;
      runnel::wait_group wg;
      wg.go([&] { t = walk(); });
      wg.wait();
      expect_ends_at_the_entry(t);
      depths.push_back(t.functions.size());
    }
    for (auto d : depths) EXPECT_EQ(d, depths.front());
  });
}

std::string output_of(const std::string& command) {
  std::string text;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char part[4096];
    for (std::size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
    pclose(pipe);
  }
  return text;
}

// What gdb debugs.
TEST(unwind, DISABLED_stops_in_a_goroutine) {
  run({.max_procs = 2}, [] {
    runnel::wait_group wg;
    wg.go([] {
      runnel::sleep(10us);
      runnel_test_stop_here();
    });
    wg.wait();
  });
}

TEST(unwind, of_gdb_ends_at_the_entry) {
  if (std::system("command -v gdb >/dev/null") != 0) GTEST_SKIP() << "gdb is not installed";
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  ASSERT_GT(n, 0);
  self[n] = '\0';
  std::string text = output_of(
      "gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'set confirm off' -ex 'break "
      "runnel_test_stop_here'"
      " -ex run -ex bt -ex 'echo bt-done\\n' -ex kill --args '" +
      std::string(self) +
      "' --gtest_also_run_disabled_tests --gtest_filter='unwind.DISABLED_stops_in_a_goroutine'"
      " 2>&1 </dev/null");
  auto bt = text.find("#0 ");
  auto end = text.find("bt-done");
  ASSERT_NE(bt, std::string::npos) << text;
  ASSERT_NE(end, std::string::npos) << text;
  std::string frames = text.substr(bt, end - bt);
  EXPECT_NE(frames.find("runnel_test_stop_here"), std::string::npos) << frames;
  EXPECT_EQ(frames.find("corrupt"), std::string::npos) << frames;
  EXPECT_EQ(frames.find("??"), std::string::npos) << frames;
  auto last = frames.rfind("\n#");
  ASSERT_NE(last, std::string::npos) << frames;
  EXPECT_NE(frames.find("runnel_context_entry", last), std::string::npos) << frames;
  EXPECT_EQ(frames.find("Backtrace stopped"), std::string::npos) << frames;
}

}  // namespace
