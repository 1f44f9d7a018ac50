#include "platform/membarrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "base/sync_policy.h"

namespace runnel::platform {
namespace {

long membarrier(int command) noexcept { return syscall(SYS_membarrier, command, 0, 0); }

// A fact about the kernel, not state of a runtime: written once, before any M exists.
std::atomic<bool> expedited{false};

}  // namespace

void register_membarrier() noexcept {
  int saved = errno;
  // RUNNEL_MEMBARRIER=off exists to test the fallback on kernels that have the call.
  const char* wish = std::getenv("RUNNEL_MEMBARRIER");
  bool forbidden = wish != nullptr && wish[0] == 'o' && wish[1] == 'f';
  bool ok = !forbidden && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
            membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
  expedited.store(ok, std::memory_order_relaxed);
  errno = saved;
}

bool asymmetric_fences() noexcept { return expedited.load(std::memory_order_relaxed); }

}  // namespace runnel::platform

namespace runnel::base {

bool asymmetric_fences_impl() noexcept { return platform::asymmetric_fences(); }

void heavy_fence_impl() noexcept {
  if (platform::asymmetric_fences()) {
    int saved = errno;
    platform::membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    errno = saved;
  } else {
    hardware::fence();
  }
}

}  // namespace runnel::base
