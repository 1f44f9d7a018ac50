#include "base/panic_record.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
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

std::string exception_text(const std::exception_ptr& e) {
  if (const auto* panic = base::exception_as<panic_error>(e)) return panic->what();
  const std::type_info* type = base::exception_type(e);
  if (type == nullptr) return "unknown exception";
  if (const auto* known = base::exception_as<std::exception>(e)) {
    return demangled(type->name()) + ": " + known->what();
  }
  return "exception of type " + demangled(type->name());
}

panic_record::panic_record(std::exception_ptr e, panic_record* before)
    : exception(std::move(e)), previous(before), error(base::exception_as<panic_error>(exception)) {
  if (error != nullptr) {
    by_runtime = base::exception_as<runtime_error>(exception) != nullptr;
    return;
  }
  pointer = exception;
  if (const auto* known = base::exception_as<std::exception>(exception)) {
    what = known->what();
  } else {
    what = exception_text(exception);
  }
}

void drop_panics(panic_state& state, panic_record* last) noexcept {
  while (state.newest != last && state.newest != nullptr) {
    delete std::exchange(state.newest, state.newest->previous);
  }
}

}  // namespace runnel::detail
