// A function returns early, and its goroutine ends, with a std::mutex still locked.
// status: 2
// expect: ^runnel: .*std::lock_guard: .*
// expect: ^fatal error: std::mutex held by a goroutine that has ended$
// expect: ^std::mutex (cache_mutex at )?0x[0-9a-f]+ was locked by goroutine 1:$
// expect: ^find\(int\)$
// skip: asan tsan no-assertions
#include <runnel/runnel.h>

#include <map>
#include <mutex>

std::mutex cache_mutex;
std::map<int, int> cache;

[[gnu::noinline]] int find(int key) {
  cache_mutex.lock();
  auto found = cache.find(key);
  if (found == cache.end()) return -1;
  int value = found->second;
  cache_mutex.unlock();
  return value;
}

int main() {
  runnel::run([] { find(1); });
}
