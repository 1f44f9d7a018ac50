#pragma once
// What is known of a panic besides its exception.

#include <any>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <typeinfo>

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

// An exception between the throw and its handler, as throw_witness has seen it.
struct panic_sighting {
  static constexpr int frames_max = 40;

  const std::type_info* type;
  void* object;  // of a pointer that was thrown, what it points to
  panic_sighting* previous;
  std::uint64_t goroutine = 0;
  int frame_count = 0;  // 0: a panic_error
  void* frames[frames_max];

  // From the call that threw.
  std::span<void* const> stack() const noexcept;
  bool is_of(const std::exception_ptr& e) const noexcept;
};

// The newest, if it is of what a handler has just caught.
std::unique_ptr<panic_sighting> take_sighting(panic_state& state,
                                              const std::exception_ptr& caught) noexcept;

// Linked in the goroutine's list while the panic goes on, or a deferred call may still ask for it.
struct panic_record {
  panic_record(std::exception_ptr e, panic_record* before,
               std::unique_ptr<panic_sighting> sighting = nullptr);

  const std::exception_ptr exception;
  panic_record* const previous;
  const panic_error* const error;  // the exception, if it is one
  bool by_runtime = false;
  bool recovered = false;
  // Of other exceptions.
  std::unique_ptr<const panic_sighting> sighting;
  std::string what;
  std::any pointer;
  panic_info info{this};

  std::span<void* const> backtrace() const noexcept;
  std::uint64_t goroutine() const noexcept;  // 0: not known
};

// Drops records down to `last`.
void drop_panics(panic_state& state, panic_record* last) noexcept;

// As in the report: what panic() was given, or the exception's type and what().
std::string exception_text(const std::exception_ptr& e);
std::string exception_text(const std::type_info* type, void* object);

std::string demangled(const char* name);

}  // namespace runnel::detail
