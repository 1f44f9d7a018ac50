#pragma once
// Address space from the kernel: reserve, guard, give back. Sizes are bytes, multiples of a page.

#include <cstddef>
#include <cstdint>
#include <span>

namespace runnel::platform {

std::size_t page_size() noexcept;

// Readable and writable, zero on first touch, never backed by huge pages unless asked, not counted
// against overcommit where the kernel allows that. nullptr: errno says why.
void* reserve(std::size_t size, std::size_t alignment) noexcept;
void unreserve(void* begin, std::size_t size) noexcept;

// Asks for huge pages (a hint).
void prefer_huge_pages(void* begin, std::size_t size) noexcept;

struct range {
  void* begin;
  std::size_t size;
};

// Makes every range fault on access. Returns how many, from the first, are guarded.
//   light guards (MADV_GUARD_INSTALL, Linux 6.13): page-table entries, no mapping of their own, any number
//   otherwise PROT_NONE, which costs two entries of vm.max_map_count each, until half of those are used
std::size_t install_guards(std::span<const range> ranges) noexcept;
bool has_light_guards() noexcept;

// Whether the byte there can be read; asks the kernel, which answers instead of faulting. True if it cannot be asked.
bool readable(std::uintptr_t address) noexcept;

// Gives the pages back; they read as zero afterwards. Light guards inside a range stay.
void discard(std::span<const range> ranges) noexcept;

}  // namespace runnel::platform
