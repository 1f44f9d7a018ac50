#pragma once
// Waiting for descriptors of other libraries.

#include <optional>

#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel {

enum class fd_event { readable, writable };

// Waits until fd is readable (or at its end, or in error) or writable: no error; or the deadline has passed: errc::timed_out.
// Says only that a read or write would not have waited at that moment; whoever does it then shall be prepared for EAGAIN. A
// regular file is always ready. fd, blocking or not, stays its owner's, who must not close it meanwhile: whoever waits would
// not be told. Any number may wait, also for the same descriptor. Any thread: a goroutine parks, and has a duplicate of the
// descriptor meanwhile; a plain thread blocks. Other errors are the kernel's: bad_file_descriptor, too_many_files_open.
std::error_code fd_wait(int fd, fd_event what, time_point deadline = time_point::max());

}  // namespace runnel
