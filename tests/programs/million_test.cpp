// A million goroutines parked at once, with the kernel's default limits.

#include <gtest/gtest.h>
#include <runnel/runnel.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int goroutines = 2'000;  // fibers: there is room for about 8000
#elif defined(__SANITIZE_ADDRESS__)
constexpr int goroutines = 100'000;
#else
constexpr int goroutines = 1'000'000;
#endif

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

TEST(million, goroutines_park_at_once_and_are_all_released) {
  std::atomic<int> parked{0}, released{0};
  std::size_t mapped = 0;
  runnel::run([&] {
    runnel::wait_group gate, all;
    gate.add(1);
    for (int i = 0; i < goroutines; ++i) {
      all.go([&] {
        ++parked;
        gate.wait();
        ++released;
      });
    }
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(100);
    while (parked < goroutines && std::chrono::steady_clock::now() < end) runnel::yield();
    mapped = mappings();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(runnel::num_goroutine(), std::size_t{goroutines} + 1);
    gate.done();
    all.wait();
  });
  EXPECT_EQ(parked, goroutines);
  EXPECT_EQ(released, goroutines);
  EXPECT_LT(mapped, 65'530U);  // vm.max_map_count, as the kernel has it by default
}

TEST(million, goroutines_may_come_in_waves) {
  for (int wave = 0; wave < 3; ++wave) {
    runnel::run([] {
      std::atomic<int> done{0};
      runnel::wait_group gate, all;
      gate.add(1);
      for (int i = 0; i < goroutines / 10; ++i) {
        all.go([&] {
          gate.wait();
          ++done;
        });
      }
      gate.done();
      all.wait();
      EXPECT_EQ(done, goroutines / 10);
    });
  }
}

}  // namespace
