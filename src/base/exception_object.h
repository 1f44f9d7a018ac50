#pragma once
// Looks into an exception_ptr without throwing it again, which would cost half a microsecond: by libstdc++'s layout, in
// which it is the exception object's address, and by the ABI's type_info.

#include <bit>
#include <exception>
#include <typeinfo>

namespace runnel::base {

inline const std::type_info* exception_type(const std::exception_ptr& e) noexcept {
  return e != nullptr ? e.__cxa_exception_type() : nullptr;
}

inline void* exception_object(const std::exception_ptr& e) noexcept {
  static_assert(sizeof(std::exception_ptr) == sizeof(void*));
  void* object;
  __builtin_memcpy(static_cast<void*>(&object), &e, sizeof object);
  return object;
}

// The object as a T, if a handler of const T& would catch it.
template <class T>
const T* exception_as(const std::type_info* type, void* object) noexcept {
  if (type == nullptr) return nullptr;
  return typeid(T).__do_catch(type, &object, 1) ? static_cast<const T*>(object) : nullptr;
}

// Likewise; it lives as long as e.
template <class T>
const T* exception_as(const std::exception_ptr& e) noexcept {
  return exception_as<T>(exception_type(e), exception_object(e));
}

}  // namespace runnel::base
