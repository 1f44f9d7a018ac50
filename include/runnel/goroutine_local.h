#pragma once
// goroutine_local<T>: thread_local's twin.

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace runnel {

namespace detail {

// The slot of `key` in the calling goroutine (plain thread: in the thread). Null until set.
void* local_find(std::uint64_t key) noexcept;
// Stores a value that destroy() will end when the goroutine ends. Throws std::bad_alloc.
void local_store(std::uint64_t key, void* value, void (*destroy)(void*));
std::uint64_t local_new_key() noexcept;

}  // namespace detail

// A variable of which every goroutine has its own: made on first use in a goroutine, by the given function or
// T's default constructor, destroyed when the goroutine ends, in reverse order of creation. On a plain thread
// it is the thread's. The object itself is shared by all and typically global; values that are alive when it is
// destroyed stay until their goroutines end.
template <class T>
class goroutine_local {
 public:
  goroutine_local() : make_([] { return new T(); }) {}
  template <class Make>
    requires std::is_invocable_r_v<T, Make&>
  explicit goroutine_local(Make make) : make_([make]() mutable { return new T(make()); }) {}
  goroutine_local(const goroutine_local&) = delete;
  goroutine_local& operator=(const goroutine_local&) = delete;

  T& get() const {
    if (void* found = detail::local_find(key_)) return *static_cast<T*>(found);
    T* made = make_();
    try {
      detail::local_store(key_, made, [](void* value) { delete static_cast<T*>(value); });
    } catch (...) {
      delete made;
      throw;
    }
    return *made;
  }
  T& operator*() const { return get(); }
  T* operator->() const { return &get(); }

 private:
  std::uint64_t key_ = detail::local_new_key();
  std::function<T*()> make_;
};

}  // namespace runnel
