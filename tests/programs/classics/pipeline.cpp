// Pipelines whose stages all end when their context does: cancelled by whoever has found what it
// was looking for, or because the time is up. No stage ever waits for one that is gone.
#include <runnel/chan.h>
#include <runnel/context.h>
#include <runnel/go.h>
#include <runnel/select.h>
#include <runnel/sync.h>

#include <chrono>
#include <cstdio>

namespace {

using namespace std::chrono_literals;

// False if the context ended first.
bool send(const runnel::context& ctx, const runnel::send_chan<long>& out, long n) {
  return runnel::select(runnel::send(out, n), runnel::recv(ctx.done())) == 0;
}

// Sends first, first + step and so on.
void count(const runnel::context& ctx, long first, long step, const runnel::send_chan<long>& out) {
  for (long n = first; send(ctx, out, n);) n += step;
  out.close();
}

// Passes on what the predicate is true of.
template <class Predicate>
void keep(const runnel::context& ctx, Predicate predicate, const runnel::recv_chan<long>& in,
          const runnel::send_chan<long>& out) {
  for (long n : in) {
    if (predicate(n) && !send(ctx, out, n)) break;
  }
  out.close();
}

bool is_square(long n) {
  long root = 0;
  while (root * root < n) ++root;
  return root * root == n;
}

bool is_triangular(long n) { return is_square(8 * n + 1); }

const char* why(const runnel::context& ctx) {
  if (ctx.err() == runnel::context_errc::canceled) return "it was cancelled";
  if (ctx.err() == runnel::context_errc::deadline_exceeded) return "its time was up";
  return "of nothing";
}

// Three stages, cancelled once enough has come out.
void in_a_row() {
  auto [ctx, cancel] = runnel::with_cancel(runnel::background());
  auto numbers = runnel::make_chan<long>();
  auto squares = runnel::make_chan<long>();
  auto both = runnel::make_chan<long>();
  runnel::wait_group stages;
  stages.go([=] { count(ctx, 0, 1, numbers); });
  stages.go([=] { keep(ctx, is_square, numbers, squares); });
  stages.go([=] { keep(ctx, is_triangular, squares, both); });

  std::printf("square and triangular:");
  for (int i = 0; i < 5; ++i) std::printf(" %ld", *both.recv());
  std::printf("\n");
  cancel();
  stages.wait();
  std::printf("the pipeline has ended because %s\n", why(ctx));
}

// Several stages divide by the numbers that come from one, and send what they find to one. There is
// one factor to be found.
void side_by_side(long n) {
  constexpr long width = 1000;  // numbers to try at a time
  auto [ctx, cancel] = runnel::with_cancel(runnel::background());
  auto starts = runnel::make_chan<long>();
  auto factors = runnel::make_chan<long>();
  runnel::wait_group stages;
  stages.go([=] { count(ctx, 2, width, starts); });
  for (int i = 0; i < 4; ++i) {
    stages.go([=] {
      for (long start : starts) {
        for (long d = start; d < start + width && d * d <= n; ++d) {
          if (n % d == 0 && !send(ctx, factors, d)) return;
        }
      }
    });
  }

  const long factor = *factors.recv();
  cancel();
  stages.wait();
  std::printf("%ld = %ld * %ld\n", n, factor, n / factor);
  std::printf("the search has ended because %s\n", why(ctx));
}

// A pipeline in which all wait for what does not come, and the contexts of the stages end with that
// of the whole.
void in_vain() {
  auto [whole, cancel] = runnel::with_timeout(runnel::background(), 20ms);
  auto nothing = runnel::make_chan<long>();
  runnel::wait_group stages;
  for (int i = 0; i < 3; ++i) {
    stages.go([=] {
      auto [part, cancel_part] = runnel::with_timeout(whole, 1h);
      send(part, nothing, 1);
      cancel_part();
    });
  }
  stages.wait();
  std::printf("the pipeline in vain has ended because %s\n", why(whole));
  cancel();
}

}  // namespace

int main() {
  runnel::run([] {
    in_a_row();
    side_by_side(999'983L * 1'000'003L);
    in_vain();
  });
}
