// func: deferred calls, panics in them, and recover.
//
// Invariants of a func's defer_stack
//   innermost of its state while it lives, or of a func that one of its calls has begun
//   record_ == older_   =>  it has not panicked; else record_ is its panic, the last one in a deferred call counts
//   unwound_            <=>  exit_ lives; an exception has left the body or a call
//   panicking_          =>  record_ != older_, and nobody has recovered it yet
//   panicking_ at the end  =>  its records stay for the func above, or for the report; otherwise they go

#include "runnel/defer.h"

#include <memory>
#include <new>
#include <utility>

#include "base/panic_record.h"
#include "runnel/detail/run.h"
#include "sched/switch.h"

namespace runnel {
namespace detail {
namespace {

// Not inlined: the compiler cannot know that the goroutine's thread may change.
[[gnu::noinline]] panic_state& thread_panic_state() noexcept {
  struct owner {
    panic_state state;
    ~owner() { drop_panics(state, nullptr); }
  };
  static thread_local owner mine;
  asm volatile("" ::: "memory");
  return mine.state;
}

}  // namespace

panic_state& current_panic_state() noexcept {
  sched::m* self = sched::current_m();
  return self != nullptr && self->current != nullptr ? self->current->panics : thread_panic_state();
}

panic_record* release_panics(const std::exception_ptr& thrown) {
  panic_state& state = current_panic_state();
  std::unique_ptr<panic_sighting> sighting = take_sighting(state, thrown);
  if (is_goexit(thrown)) return nullptr;
  if (state.newest != nullptr && state.newest->exception != thrown) {
    // Of panics that were caught by a handler.
    drop_panics(state, nullptr);
  }
  if (state.newest == nullptr) return new panic_record(thrown, nullptr, std::move(sighting));
  return std::exchange(state.newest, nullptr);
}

void adopt_panics(panic_record* newest) {
  panic_state& state = current_panic_state();
  drop_panics(state, nullptr);
  state.newest = newest;
}

void panic_nil_call() { throw runtime_error("invalid memory address or nil pointer dereference"); }

}  // namespace detail

void defer_stack::clean_up() noexcept {
  while (detail::deferred_call* c = calls_) {
    calls_ = c->next;
    c->finish(c, false);
  }
  if (!unwound_) return;
  if (!panicking_) detail::drop_panics(state_, older_);
  exit_.~exception_ptr();
}

// An exception has left the body, or a deferred call.
void defer_stack::note_panic(std::exception_ptr thrown) {
  if (!unwound_) {
    ::new (static_cast<void*>(&exit_)) std::exception_ptr;
    unwound_ = true;
  }
  std::unique_ptr<detail::panic_sighting> sighting = detail::take_sighting(state_, thrown);
  if (detail::is_goexit(thrown)) {
    panicking_ = false;
    exit_ = std::move(thrown);
    return;
  }
  detail::panic_record* newest = state_.newest;
  if (record_ == older_ && newest != nullptr && state_.in_flight != nullptr &&
      state_.in_flight->is_of(newest->exception)) {
    // We are in a destructor that a panic runs on its way from a func below to one above.
    record_ = older_ = newest;
  }
  if (newest != nullptr && newest != record_ && newest->exception == thrown) {
    record_ = newest;  // a func below has its record already
  } else if (record_ == older_ || record_->recovered || record_->exception != thrown) {
    // Above ours there may be panics that were caught by a handler.
    detail::drop_panics(state_, record_);
    record_ = state_.newest =
        new detail::panic_record(std::move(thrown), record_, std::move(sighting));
  }
  panicking_ = true;
}

void defer_stack::run_all() {
  in_call_ = true;
  while (calls_ != nullptr) {
    try {
      while (detail::deferred_call* c = calls_) {
        calls_ = c->next;
        c->finish(c, true);
      }
    } catch (detail::throw_witness&) {
      __builtin_unreachable();
    } catch (...) {
      note_panic(std::current_exception());
    }
  }
  in_call_ = false;
  if (!unwound_) [[likely]]
    return;
  if (panicking_) std::rethrow_exception(record_->exception);
  if (exit_ != nullptr) std::rethrow_exception(exit_);
}

void defer_stack::run_deferred_panicking() {
  note_panic(std::current_exception());
  run_all();
}

const panic_info* recover() noexcept {
  defer_stack* f = detail::current_panic_state().innermost;
  if (f == nullptr || !f->in_call_ || !f->panicking_) return nullptr;
  f->panicking_ = false;
  f->record_->recovered = true;
  return &f->record_->info;
}

}  // namespace runnel
