#pragma once
// Which file lies at an address, found by reading /proc/self/maps: neither allocates nor locks, and so works in a
// program whose allocator or loader is stuck.

#include <array>
#include <cstddef>
#include <cstdint>

namespace runnel::platform {

struct mapped_file {
  std::array<char, 256> path{};  // a longer one: its end
  std::uintptr_t offset = 0;     // of the address, from where the file's first page is mapped
};

// False: no file, or no /proc.
bool find_mapped_file(std::uintptr_t address, mapped_file& found) noexcept;

}  // namespace runnel::platform
