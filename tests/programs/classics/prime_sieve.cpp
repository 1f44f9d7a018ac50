// The prime sieve: a chain of goroutines, one for every prime found so far, each of which lets
// through only what its prime does not divide. The chain grows by one at every prime.
#include <runnel/chan.h>
#include <runnel/go.h>

#include <cstdio>
#include <cstdlib>

namespace {

void count(runnel::send_chan<int> out) {
  for (int n = 2;; ++n) out.send(n);
}

void sift(int prime, runnel::recv_chan<int> in, runnel::send_chan<int> out) {
  for (int n : in) {
    if (n % prime != 0) out.send(n);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int primes = argc > 1 ? std::atoi(argv[1]) : 1500;
  runnel::run([&] {
    auto numbers = runnel::make_chan<int>();
    runnel::go(count, numbers);
    for (int i = 1; i <= primes; ++i) {
      const int prime = *numbers.recv();
      if (i <= 10 || i % 100 == 0) std::printf("prime %d is %d\n", i, prime);
      auto left = runnel::make_chan<int>();
      runnel::go(sift, prime, numbers, left);
      numbers = left;
    }
  });
}
