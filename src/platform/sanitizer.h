#pragma once
// What AddressSanitizer, ThreadSanitizer and Valgrind must know of stacks and switches. Without a
// sanitizer everything here is empty.
//
// AddressSanitizer: announces the stack about to be entered before every switch and completes it after.
// ThreadSanitizer: every stack is a fiber. A switch orders what ran before it on the same thread, so
//   races between goroutines are seen where these ran on different Ms: test with several Ps.
// Valgrind: every stack is registered once, when its address space is first used.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define RUNNEL_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RUNNEL_HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RUNNEL_HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RUNNEL_HAS_TSAN 1
#endif
#endif

#if defined(RUNNEL_HAS_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(RUNNEL_HAS_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define RUNNEL_HAS_VALGRIND 1
#endif

namespace runnel::platform {

#if defined(RUNNEL_HAS_ASAN)
inline constexpr bool has_asan = true;
#else
inline constexpr bool has_asan = false;
#endif
#if defined(RUNNEL_HAS_TSAN)
inline constexpr bool has_tsan = true;
#else
inline constexpr bool has_tsan = false;
#endif

// What the sanitizers remember about one stack; part of a G, and of an M for the thread's own stack.
struct sanitizer_stack {
#if defined(RUNNEL_HAS_ASAN)
  const void* bottom = nullptr;  // lowest address
  std::size_t size = 0;
  void* fake_stack = nullptr;
#endif
#if defined(RUNNEL_HAS_TSAN)
  void* fiber = nullptr;
#endif

  // Of a goroutine stack, before its first use.
  void create([[maybe_unused]] const void* lowest, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(RUNNEL_HAS_ASAN)
    bottom = lowest;
    size = bytes;
#endif
#if defined(RUNNEL_HAS_TSAN)
    if (fiber == nullptr) fiber = __tsan_create_fiber(0);
#endif
  }
  // Of the calling thread's own stack.
  void adopt_thread([[maybe_unused]] const void* lowest,
                    [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(RUNNEL_HAS_ASAN)
    bottom = lowest;
    size = bytes;
#endif
#if defined(RUNNEL_HAS_TSAN)
    fiber = __tsan_get_current_fiber();
#endif
  }
  // Of a goroutine stack whose memory goes away.
  void destroy() noexcept {
#if defined(RUNNEL_HAS_ASAN)
    // It may end with frames on it; whoever gets the addresses next has nothing to do with their locals.
    if (bottom != nullptr) __asan_unpoison_memory_region(bottom, size);
#endif
#if defined(RUNNEL_HAS_TSAN)
    if (fiber != nullptr) __tsan_destroy_fiber(fiber);
    fiber = nullptr;
#endif
  }
  // Around a switch: from.before_switch(to) on the old stack, to.after_switch() on the new one.
  void before_switch([[maybe_unused]] sanitizer_stack& to) noexcept {
#if defined(RUNNEL_HAS_ASAN)
    __sanitizer_start_switch_fiber(&fake_stack, to.bottom, to.size);
#endif
#if defined(RUNNEL_HAS_TSAN)
    __tsan_switch_to_fiber(to.fiber, 0);
#endif
  }
  void after_switch() noexcept {
#if defined(RUNNEL_HAS_ASAN)
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  }
};

inline void register_stack_with_valgrind([[maybe_unused]] void* lowest,
                                         [[maybe_unused]] void* end) noexcept {
#if defined(RUNNEL_HAS_VALGRIND)
  (void)VALGRIND_STACK_REGISTER(lowest, end);
#endif
}

inline bool running_on_valgrind() noexcept {
#if defined(RUNNEL_HAS_VALGRIND)
  return RUNNING_ON_VALGRIND != 0;
#else
  return false;
#endif
}

// Memory that LeakSanitizer must search for pointers although no allocator handed it out.
inline void register_leak_root([[maybe_unused]] void* begin,
                               [[maybe_unused]] std::size_t size) noexcept {
#if defined(RUNNEL_HAS_ASAN)
  __lsan_register_root_region(begin, size);
#endif
}

}  // namespace runnel::platform
