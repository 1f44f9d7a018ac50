// Skynet: a tree in which every goroutine starts ten others and adds up what they send, down to a
// million leaves that send their own numbers.
#include <runnel/chan.h>
#include <runnel/go.h>

#include <cstdio>
#include <cstdlib>

namespace {

void skynet(long number, long leaves, runnel::send_chan<long> sum) {
  if (leaves <= 1) {
    sum.send(number);
    return;
  }
  auto parts = runnel::make_chan<long>();
  const long part = leaves / 10;
  for (long i = 0; i < 10; ++i) runnel::go(skynet, number + i * part, part, parts);
  long total = 0;
  for (int i = 0; i < 10; ++i) total += *parts.recv();
  sum.send(total);
}

}  // namespace

int main(int argc, char** argv) {
  const long leaves = argc > 1 ? std::atol(argv[1]) : 1'000'000;  // a power of ten
  runnel::run([&] {
    auto sum = runnel::make_chan<long>();
    runnel::go(skynet, 0L, leaves, sum);
    std::printf("the sum over %ld leaves is %ld\n", leaves, *sum.recv());
  });
}
