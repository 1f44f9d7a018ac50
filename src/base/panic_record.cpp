#include "base/panic_record.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unwind.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "base/exception_object.h"

namespace runnel::detail {

std::string demangled(const char* name) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

std::string type_text(const std::type_info& type) { return "(" + demangled(type.name()) + ")"; }

std::string exception_text(const std::type_info* type, void* object) {
  if (const auto* panic = base::exception_as<panic_error>(type, object)) return panic->what();
  if (type == nullptr) return "unknown exception";
  if (const auto* known = base::exception_as<std::exception>(type, object)) {
    return demangled(type->name()) + ": " + known->what();
  }
  return "exception of type " + demangled(type->name());
}

std::string exception_text(const std::exception_ptr& e) {
  return exception_text(base::exception_type(e), base::exception_object(e));
}

namespace {

// By the address, and by the name where a sanitizer has put itself in front.
bool raises(void* return_address) {
  // The call, not what follows it, which may be another function.
  void* call = static_cast<char*>(return_address) - 1;
  void* function = _Unwind_FindEnclosingFunction(call);
  if (function == reinterpret_cast<void*>(&abi::__cxa_throw) ||
      function == reinterpret_cast<void*>(&abi::__cxa_rethrow) ||
      function == reinterpret_cast<void*>(&std::rethrow_exception)) {
    return true;
  }
  Dl_info known{};
  if (dladdr(call, &known) == 0 || known.dli_sname == nullptr) return false;
  std::string_view name = known.dli_sname;
  return name.ends_with("__cxa_throw") || name.ends_with("__cxa_rethrow") ||
         name.contains("rethrow_exception");
}

}  // namespace

std::span<void* const> panic_sighting::stack() const noexcept {
  std::span<void* const> all(frames, static_cast<std::size_t>(frame_count));
  auto raiser = std::ranges::find_if(all, raises);
  if (raiser == all.end()) return all;
  // One may call another.
  while (raiser != all.end() && raises(*raiser)) ++raiser;
  return {raiser, all.end()};
}

bool panic_sighting::is_of(const std::exception_ptr& e) const noexcept {
  const std::type_info* its = base::exception_type(e);
  return its != nullptr && *its == *type &&
         (type->__is_pointer_p() || base::exception_object(e) == object);
}

std::unique_ptr<panic_sighting> take_sighting(panic_state& state,
                                              const std::exception_ptr& caught) noexcept {
  panic_sighting* newest = state.in_flight;
  const std::type_info* type = base::exception_type(caught);
  if (newest == nullptr || type == nullptr || *newest->type != *type) return nullptr;
  state.in_flight = newest->previous;
  return std::unique_ptr<panic_sighting>(newest);
}

panic_record::panic_record(std::exception_ptr e, panic_record* before,
                           std::unique_ptr<panic_sighting> seen)
    : exception(std::move(e)), previous(before), error(base::exception_as<panic_error>(exception)) {
  if (error != nullptr) {
    by_runtime = base::exception_as<runtime_error>(exception) != nullptr;
    return;
  }
  sighting = std::move(seen);
  pointer = exception;
  if (const auto* known = base::exception_as<std::exception>(exception)) {
    what = known->what();
  } else {
    what = exception_text(exception);
  }
}

std::span<void* const> panic_record::backtrace() const noexcept {
  if (error != nullptr) return error->backtrace();
  return sighting != nullptr ? sighting->stack() : std::span<void* const>();
}

std::uint64_t panic_record::goroutine() const noexcept {
  if (error != nullptr) return error->goroutine();
  return sighting != nullptr ? sighting->goroutine : 0;
}

void drop_panics(panic_state& state, panic_record* last) noexcept {
  while (state.newest != last && state.newest != nullptr) {
    delete std::exchange(state.newest, state.newest->previous);
  }
}

}  // namespace runnel::detail
