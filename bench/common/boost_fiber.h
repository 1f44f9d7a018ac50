// How Boost.Fiber is set up here: the fastest configuration of it that works in every case.
//
// - One worker: the main thread with the default scheduler, round_robin. More: work_stealing with
//   its default of not suspending, because a suspended worker is not woken when another has fibers
//   to give away. The price is that idle workers spin.
// - Stacks: fixedsize_stack of 64 KiB, with malloc told to keep what is freed. In small batches
//   that costs what pooled_fixedsize_stack costs, and a fifteenth of what it costs when malloc is
//   left alone. Unlike a pooled one, such a stack may be freed by another worker, and its lowest
//   page is not touched.
// - Fibers are started with launch::post: queued, as a goroutine is.
#pragma once

#include <malloc.h>

#include <boost/fiber/all.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::size_t boost_stack_size = 64 << 10;

template <class F>
boost::fibers::fiber spawn(F f) {
  return boost::fibers::fiber(boost::fibers::launch::post, std::allocator_arg,
                              boost::fibers::fixedsize_stack(boost_stack_size), std::move(f));
}

template <class F>
void run_boost_fiber(int workers, F f) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  if (workers == 1) {
    f();
    return;
  }
  const auto share_work = [workers] {
    boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(
        static_cast<std::uint32_t>(workers));
  };
  boost::fibers::mutex mutex;
  boost::fibers::condition_variable changed;
  bool finished = false;
  std::vector<std::thread> threads;
  for (int i = 1; i < workers; ++i) {
    threads.emplace_back([&] {
      share_work();
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return finished; });
    });
  }
  share_work();  // returns once all workers have got here
  f();
  {
    const std::lock_guard lock(mutex);
    finished = true;
  }
  changed.notify_all();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace bench
