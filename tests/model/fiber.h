#pragma once
// Fibers for the interleaver: every modelled thread is one, and serves again in every execution.
//
// ucontext starts a fiber; switching is by _setjmp and _longjmp, because swapcontext makes a system
// call. Under sanitizers, and where the C library checks that longjmp only goes up the stack, it is
// swapcontext all the same. Nothing of the runtime's own switching is used: that is among what is
// tested.
//
// A fiber may be left in the middle for good (reset): the destructors of what lies on its stack do
// not run.

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#define RUNNEL_MODEL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RUNNEL_MODEL_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RUNNEL_MODEL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RUNNEL_MODEL_TSAN 1
#endif
#endif

#if defined(RUNNEL_MODEL_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(RUNNEL_MODEL_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace runnel::model {

class fiber {
 public:
  using entry_function = void (*)(void* argument);

#if defined(RUNNEL_MODEL_ASAN) || defined(RUNNEL_MODEL_TSAN)
  static constexpr bool sanitized = true;
#else
  static constexpr bool sanitized = false;
#endif
#if defined(RUNNEL_MODEL_TSAN)
  static constexpr bool cheap_to_reset = false;  // about a millisecond
#else
  static constexpr bool cheap_to_reset = true;
#endif
#if defined(_FORTIFY_SOURCE) && _FORTIFY_SOURCE > 0
  static constexpr bool uses_longjmp = false;
#else
  static constexpr bool uses_longjmp = !sanitized;
#endif
  static constexpr std::size_t stack_bytes = (sanitized ? 256 : 64) * 1024;

  // The thread that explores.
  fiber() : started_(true) {
#if defined(RUNNEL_MODEL_TSAN)
    tsan_fiber_ = __tsan_get_current_fiber();
#endif
  }

  // `entry` must not return.
  fiber(entry_function entry, void* argument)
      : entry_(entry), argument_(argument), stack_(new char[stack_bytes]), bottom_(stack_.get()) {}

  ~fiber() {
    if (stack_ != nullptr) reset();
  }
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;

  // Forgets where the fiber was: the next switch to it calls its entry function.
  void reset() {
    if (!started_) return;
    started_ = false;
#if defined(RUNNEL_MODEL_ASAN)
    __asan_unpoison_memory_region(stack_.get(), stack_bytes);
    fake_stack_ = nullptr;
#endif
#if defined(RUNNEL_MODEL_TSAN)
    __tsan_destroy_fiber(tsan_fiber_);
#endif
  }

  void switch_to(fiber& next) {
    bool fresh = !next.started_;
    if (fresh) next.prepare();
    if constexpr (uses_longjmp) {
      if (_setjmp(jump_) != 0) return;
      if (fresh) setcontext(&next.context_);
      _longjmp(next.jump_, 1);
    } else {
      next.from_ = this;
#if defined(RUNNEL_MODEL_ASAN)
      __sanitizer_start_switch_fiber(&fake_stack_, next.bottom_, next.size_);
#endif
#if defined(RUNNEL_MODEL_TSAN)
      __tsan_switch_to_fiber(next.tsan_fiber_, 0);
#endif
      swapcontext(&context_, &next.context_);
      arrived();
    }
  }

 private:
  void prepare() {
    started_ = true;
#if defined(RUNNEL_MODEL_TSAN)
    tsan_fiber_ = __tsan_create_fiber(0);
#endif
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = stack_bytes;
    context_.uc_link = nullptr;
    auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&context_, reinterpret_cast<void (*)()>(&run), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
  }

  static void run(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<fiber*>((std::uintptr_t{high} << 32) | low);
    if constexpr (!uses_longjmp) self->arrived();
    self->entry_(self->argument_);
    std::abort();
  }

  // AddressSanitizer tells which stack was left: that is how the bounds of the thread's own are learnt.
  void arrived() noexcept {
#if defined(RUNNEL_MODEL_ASAN)
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &size);
    from_->bottom_ = bottom;
    from_->size_ = size;
#endif
  }

  entry_function entry_ = nullptr;
  void* argument_ = nullptr;
  std::unique_ptr<char[]> stack_;
  [[maybe_unused]] const void* bottom_ = nullptr;
  [[maybe_unused]] std::size_t size_ = stack_bytes;
  bool started_ = false;
  [[maybe_unused]] fiber* from_ = nullptr;
  [[maybe_unused]] void* fake_stack_ = nullptr;
  [[maybe_unused]] void* tsan_fiber_ = nullptr;
  ucontext_t context_;
  jmp_buf jump_;
};

}  // namespace runnel::model
