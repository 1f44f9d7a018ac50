// Panics as exceptions: what they carry, and what a deferred call learns of them.

#include "runnel/panic.h"

#include <any>
#include <memory>
#include <utility>

#include "base/panic_record.h"
#include "platform/backtrace.h"
#include "runnel/go.h"

namespace runnel {
namespace {

std::shared_ptr<const detail::panic_content> content_of(std::any value, std::string text) {
  auto made = std::make_shared<detail::panic_content>();
  made->value = std::move(value);
  made->text = std::move(text);
  made->goroutine = goroutine_id();
  // Without this function and the constructor.
  made->frame_count =
      platform::capture_backtrace(made->frames, detail::panic_content::frames_max, 2);
  return made;
}

}  // namespace

[[gnu::noinline]] panic_error::panic_error(std::any value, std::string text)
    : content_(content_of(std::move(value), std::move(text))) {}

// Here, so that there is one vtable and one type_info.
panic_error::~panic_error() = default;

const std::any& panic_error::value() const noexcept { return content_->value; }
const char* panic_error::what() const noexcept { return content_->text.c_str(); }
std::span<void* const> panic_error::backtrace() const noexcept {
  return {content_->frames, static_cast<std::size_t>(content_->frame_count)};
}

std::uint64_t panic_error::goroutine() const noexcept { return content_->goroutine; }

runtime_error::runtime_error(const std::string& text) : panic_error(text, text) {}
runtime_error::~runtime_error() = default;

const std::any& panic_info::value() const noexcept {
  return record_->error != nullptr ? record_->error->value() : record_->pointer;
}
const char* panic_info::what() const noexcept {
  return record_->error != nullptr ? record_->error->what() : record_->what.c_str();
}
std::exception_ptr panic_info::exception() const noexcept { return record_->exception; }
bool panic_info::is_runtime_error() const noexcept { return record_->by_runtime; }
std::span<void* const> panic_info::backtrace() const noexcept {
  return record_->error != nullptr ? record_->error->backtrace() : std::span<void* const>();
}
const panic_info* panic_info::previous() const noexcept {
  return record_->previous != nullptr ? &record_->previous->info : nullptr;
}

}  // namespace runnel
