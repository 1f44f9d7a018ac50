// Panics as exceptions: what they carry, and what a deferred call learns of them.

#include "runnel/panic.h"

#include <algorithm>
#include <any>
#include <atomic>
#include <iterator>
#include <memory>
#include <utility>

#include "base/panic_record.h"
#include "runnel/go.h"
#include "sched/own_stack.h"

namespace runnel {

namespace detail {

const panic_content* share(const panic_content* content) noexcept {
  content->users.fetch_add(1, std::memory_order_relaxed);
  return content;
}

void release(const panic_content* content) noexcept {
  if (content->users.fetch_sub(1, std::memory_order_acq_rel) == 1) delete content;
}

[[gnu::noinline]] const panic_content* panic_with(std::any value, std::string text, void* from) {
  constexpr int ours = 8;  // more calls than lie between
  auto made = std::make_unique<panic_content>();
  made->value = std::move(value);
  made->text = std::move(text);
  made->goroutine = goroutine_id();
  void* frames[panic_content::frames_max + ours];
  int count = sched::capture_own_stack(frames, static_cast<int>(std::size(frames)));
  auto* first = std::find(frames, frames + std::min(count, ours), from);
  if (first == frames + std::min(count, ours)) first = frames;
  auto kept = std::min<std::ptrdiff_t>(frames + count - first, panic_content::frames_max);
  std::copy_n(first, kept, made->frames);
  made->frame_count = static_cast<int>(kept);
  return made.release();
}

[[gnu::noinline]] const panic_content* panic_with(std::string_view text) {
  return panic_with(std::string(text), std::string(text), __builtin_return_address(0));
}

}  // namespace detail

[[gnu::noinline]] panic_error::panic_error(std::any value, std::string text)
    : panic_error(
          detail::panic_with(std::move(value), std::move(text), __builtin_return_address(0))) {}

// Here, so that there is one vtable and one type_info.
panic_error::~panic_error() { detail::release(content_); }

const std::any& panic_error::value() const noexcept { return content_->value; }
const char* panic_error::what() const noexcept { return content_->text.c_str(); }
std::span<void* const> panic_error::backtrace() const noexcept {
  return {content_->frames, static_cast<std::size_t>(content_->frame_count)};
}

std::uint64_t panic_error::goroutine() const noexcept { return content_->goroutine; }

[[gnu::noinline]] runtime_error::runtime_error(const std::string& text)
    : panic_error(detail::panic_with(text, text, __builtin_return_address(0))) {}
runtime_error::~runtime_error() = default;

const std::any& panic_info::value() const noexcept {
  return record_->error != nullptr ? record_->error->value() : record_->pointer;
}
const char* panic_info::what() const noexcept {
  return record_->error != nullptr ? record_->error->what() : record_->what.c_str();
}
std::exception_ptr panic_info::exception() const noexcept { return record_->exception; }
bool panic_info::is_runtime_error() const noexcept { return record_->by_runtime; }
std::span<void* const> panic_info::backtrace() const noexcept { return record_->backtrace(); }
const panic_info* panic_info::previous() const noexcept {
  return record_->previous != nullptr ? &record_->previous->info : nullptr;
}

}  // namespace runnel
