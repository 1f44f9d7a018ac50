#pragma once
// A growing array in pages of its own, for code that must not allocate: while threads are stopped that may hold the
// allocator's lock. Never throws: where the kernel has no more memory, push says so and the array is as before.
//
// Elements are trivial and start as zero bytes.

#include <sys/mman.h>

#include <cstddef>
#include <span>
#include <type_traits>

namespace runnel::platform {

template <class T>
class page_array {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  page_array() = default;
  page_array(const page_array&) = delete;
  page_array& operator=(const page_array&) = delete;
  ~page_array() {
    if (data_ != nullptr) munmap(static_cast<void*>(data_), bytes_);
  }

  bool push(const T& item) noexcept {
    if (size_ == capacity() && !reserve(size_ == 0 ? first_bytes / element_size : 2 * size_)) {
      return false;
    }
    data_[size_++] = item;
    return true;
  }
  void pop() noexcept { --size_; }

  // `count` elements, new ones zero.
  bool resize(std::size_t count) noexcept {
    if (!reserve(count)) return false;
    size_ = count;
    return true;
  }
  bool reserve(std::size_t count) noexcept {
    if (count <= capacity()) return true;
    std::size_t bytes = (count * element_size + page - 1) / page * page;
    void* moved = data_ == nullptr
                      ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                      : mremap(static_cast<void*>(data_), bytes_, bytes, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) return false;
    data_ = static_cast<T*>(moved);
    bytes_ = bytes;
    return true;
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  T& back() noexcept { return data_[size_ - 1]; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }

  // The pages it lies in.
  const void* memory() const noexcept { return data_; }
  std::size_t memory_size() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t page = 64 << 10;  // of any kernel
  static constexpr std::size_t first_bytes = page;
  static constexpr std::size_t element_size =
      sizeof(T);  // NOLINT(bugprone-sizeof-expression): T may be a pointer

  std::size_t capacity() const noexcept { return bytes_ / element_size; }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace runnel::platform
