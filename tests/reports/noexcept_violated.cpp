// An exception meets a function that is noexcept.
// status: 2
// expect: ^panic: std::runtime_error: config.toml: not found$
// expect: ^goroutine \d+ \[running\]:$
// expect: ^load\(\)$
// expect: ^reload\(\)$
#include <runnel/runnel.h>

#include <atomic>
#include <stdexcept>

[[gnu::noinline]] void load() { throw std::runtime_error("config.toml: not found"); }

[[gnu::noinline]] void reload() noexcept {
  load();
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

int main() {
  runnel::run([] { reload(); });
}
