#pragma once
// Waiting for what a test needs, and passing time where time is the subject.

#include <dirent.h>

#include <chrono>
#include <thread>

#include "runnel/go.h"

namespace test {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// True as soon as the condition holds. False after a long time: the test has failed. Any thread.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 20s) {
  auto end = clock::now() + limit;
  while (!condition()) {
    if (clock::now() > end) return condition();
    runnel::yield();
  }
  return true;
}

// The same without any call of the runtime: to it, a computation.
template <class Condition>
bool compute_until(Condition condition, std::chrono::milliseconds limit = 20s) {
  auto end = clock::now() + limit;
  while (!condition()) {
    if (clock::now() > end) return condition();
  }
  return true;
}

inline void compute_for(std::chrono::nanoseconds time) {
  auto end = clock::now() + time;
  while (clock::now() < end) {
  }
}

// Threads of this process.
inline int thread_count() {
  int count = 0;
  if (DIR* tasks = opendir("/proc/self/task")) {
    while (dirent* entry = readdir(tasks)) count += entry->d_name[0] != '.';
    closedir(tasks);
  }
  return count;
}

}  // namespace test
