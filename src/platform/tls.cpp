#include "platform/tls.h"

namespace runnel::platform {

// The empty assembly gives the function an effect, so that no interprocedural analysis may infer that
// two calls return the same address.
[[gnu::noinline]] int& errno_ref() noexcept {
  asm volatile("" ::: "memory");
  return errno;
}

}  // namespace runnel::platform
