#pragma once
// Waiting for descriptors of other libraries.

#include <optional>

#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel {

enum class fd_event { readable, writable };

// Parks until fd is readable (or at its end, or in error) or writable, or the deadline has passed: errc::timed_out. A regular
// file is always ready. fd stays its owner's, who must not close it meanwhile: whoever waits would not be told. Any number
// may wait, also for the same descriptor. Errors of registering it as the kernel's.
std::error_code fd_wait(int fd, fd_event what, time_point deadline = time_point::max());

}  // namespace runnel
