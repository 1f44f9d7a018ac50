#pragma once
// The slow side of the asymmetric fence (base::hardware::heavy_fence).
//
// Where the kernel lacks membarrier(PRIVATE_EXPEDITED) (before 4.14, under some tracers and sandboxes),
// asymmetric_fences() is false and every light side must pay for a full fence itself.

namespace runnel::platform {

// Registers the process. Called once before the first heavy fence, and again after fork.
void register_membarrier() noexcept;
bool asymmetric_fences() noexcept;

}  // namespace runnel::platform
