#include "platform/exceptions.h"

#include <cxxabi.h>

namespace runnel::platform {

exception_state& thread_exception_state() noexcept {
  return *reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
}

}  // namespace runnel::platform
