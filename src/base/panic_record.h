#pragma once
// What is known of a panic besides its exception.

#include <any>
#include <atomic>
#include <cstdint>
#include <exception>
#include <string>

#include "runnel/detail/panic_state.h"
#include "runnel/panic.h"

namespace runnel::detail {

struct panic_content {
  static constexpr int frames_max = 32;

  mutable std::atomic<std::uint32_t> users = 1;
  std::any value;
  std::string text;
  std::uint64_t goroutine = 0;
  int frame_count = 0;
  void* frames[frames_max];
};

// Linked in the goroutine's list while the panic goes on, or a deferred call may still ask for it.
struct panic_record {
  panic_record(std::exception_ptr e, panic_record* before);

  const std::exception_ptr exception;
  panic_record* const previous;
  const panic_error* const error;  // the exception, if it is one
  bool by_runtime = false;
  bool recovered = false;
  // Of other exceptions.
  std::string what;
  std::any pointer;
  panic_info info{this};
};

// Drops records down to `last`.
void drop_panics(panic_state& state, panic_record* last) noexcept;

// As in the report: what panic() was given, or the exception's type and what().
std::string exception_text(const std::exception_ptr& e);

std::string demangled(const char* name);

}  // namespace runnel::detail
