#pragma once
// The seam between a lock-free protocol and what it runs on: atomics, fences, and what a spinning thread does.
//
// A protocol is a template over a policy `Sync` with the members of `hardware` below. The runtime runs it on
// `hardware`; the model tests run the same code on a policy whose every operation is a scheduling point.
//
// Fences
//   fence()        orders the stores before it with the loads after it, for every other fence()
//   light_fence()  does so for heavy_fence() alone: of two threads, one of which passes a light and the other a
//                  heavy fence between its store and its load, at least one sees the other's store
// A light fence costs nothing: it stops the compiler, and the heavy fence makes every other thread of the
// process pass a full barrier. Where the kernel cannot do that, the protocol must be told to use fence().

#include <atomic>

namespace runnel::base {

// Defined by the platform layer: by membarrier.
void heavy_fence_impl() noexcept;
bool asymmetric_fences_impl() noexcept;

struct hardware {
  template <class T>
  using atomic = std::atomic<T>;

  static void fence() noexcept {
#if defined(__x86_64__)
    // Cheaper than mfence; and GCC rejects atomic_thread_fence under ThreadSanitizer (-Wtsan).
    asm volatile("lock orl $0,(%%rsp)" ::: "memory", "cc");
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  }

  static void light_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

  static void heavy_fence() noexcept { heavy_fence_impl(); }
  // Whether light fences are enough.
  static bool asymmetric() noexcept { return asymmetric_fences_impl(); }

  // Tells the processor that this thread spins.
  static void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");  // yield does nothing on most cores; isb waits a little
#endif
  }
};

}  // namespace runnel::base
