// The dining philosophers: each needs the forks on both sides to eat. They do not wait in a circle,
// because std::scoped_lock, which takes both forks, never waits for one while it holds the other.
#include <runnel/go.h>
#include <runnel/sync.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace {

constexpr std::size_t seats = 5;

struct table_fork {
  runnel::mutex lock;
  std::size_t used_by = 0;  // the philosopher, for checking
  int uses = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const int meals = argc > 1 ? std::atoi(argv[1]) : 2000;
  std::array<table_fork, seats> forks;
  std::array<int, seats> eaten{}, disputes{};
  runnel::run([&] {
    runnel::wait_group table;
    for (std::size_t seat = 0; seat < seats; ++seat) {
      table.go([&, seat] {
        table_fork& left = forks[seat];
        table_fork& right = forks[(seat + 1) % seats];
        while (eaten[seat] < meals) {
          const std::scoped_lock both(left.lock, right.lock);
          left.used_by = right.used_by = seat;
          ++left.uses;
          ++right.uses;
          ++eaten[seat];
          runnel::yield();  // others may try now
          if (left.used_by != seat || right.used_by != seat) ++disputes[seat];
        }
      });
    }
    table.wait();
  });
  for (std::size_t i = 0; i < seats; ++i) {
    std::printf("philosopher %zu ate %d times; fork %zu was used %d times; disputes: %d\n", i,
                eaten[i], i, forks[i].uses, disputes[i]);
  }
}
