#pragma once
// Runtime functions leave errno as the goroutine had it.

#include "platform/tls.h"

namespace runnel::platform {

// Not over a switch: the value belongs to the thread that it was read on.
class keep_errno {
 public:
  keep_errno() noexcept : saved_(errno_ref()) {}
  ~keep_errno() { errno_ref() = saved_; }
  keep_errno(const keep_errno&) = delete;
  keep_errno& operator=(const keep_errno&) = delete;

 private:
  int saved_;
};

}  // namespace runnel::platform
