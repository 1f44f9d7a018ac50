// Merge sort with a goroutine for one half of every range that is worth it. The two halves of a
// range share the buffer that they are merged in, and a channel says when the other half is sorted.
#include <runnel/chan.h>
#include <runnel/go.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <span>
#include <vector>

namespace {

constexpr std::size_t worthwhile = 1 << 12;  // numbers to be sorted by a goroutine of their own

void merge_sort(std::span<std::uint32_t> numbers, std::span<std::uint32_t> buffer) {
  if (numbers.size() < 2) return;
  const std::size_t middle = numbers.size() / 2;
  const auto left = numbers.first(middle), right = numbers.subspan(middle);
  if (numbers.size() < worthwhile) {
    merge_sort(left, buffer.first(middle));
    merge_sort(right, buffer.subspan(middle));
  } else {
    auto sorted = runnel::make_chan<runnel::unit>();
    runnel::go([=] {
      merge_sort(left, buffer.first(middle));
      sorted.close();
    });
    merge_sort(right, buffer.subspan(middle));
    sorted.recv();
  }
  std::ranges::merge(left, right, buffer.begin());
  std::ranges::copy(buffer, numbers.begin());
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  std::vector<std::uint32_t> numbers(n);
  std::uint32_t random = 1;
  for (std::uint32_t& number : numbers) {
    random = random * 1'664'525 + 1'013'904'223;
    number = random;
  }
  const auto sum = [&] { return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{}); };
  const std::uint64_t sum_before = sum();

  runnel::run([&] {
    std::vector<std::uint32_t> buffer(n);
    merge_sort(numbers, buffer);
  });

  std::printf("%zu numbers, in order: %s, none lost: %s\n", n,
              std::ranges::is_sorted(numbers) ? "true" : "false",
              sum() == sum_before ? "true" : "false");
  for (std::size_t i = 0; i < n; i += n / 8) std::printf("%8zu. %u\n", i, numbers[i]);
}
