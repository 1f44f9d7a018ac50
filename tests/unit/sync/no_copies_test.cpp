// A copy of a used lock would be locked for ever, or by nobody: there is none, and the compiler says so.

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <type_traits>

#include "runnel/runnel.h"

namespace {

template <class T>
constexpr bool stays_what_it_is =
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> &&
    !std::is_move_constructible_v<T> && !std::is_move_assignable_v<T>;

TEST(copies_of_locks, do_not_compile) {
  static_assert(stays_what_it_is<runnel::mutex>);
  static_assert(stays_what_it_is<runnel::shared_mutex>);
  static_assert(stays_what_it_is<runnel::wait_group>);
  static_assert(stays_what_it_is<runnel::once>);
  static_assert(stays_what_it_is<runnel::cond<runnel::mutex>>);
  static_assert(stays_what_it_is<runnel::cond<std::unique_lock<runnel::mutex>>>);
  static_assert(stays_what_it_is<runnel::semaphore>);
  static_assert(stays_what_it_is<runnel::pool<int>>);
  static_assert(stays_what_it_is<runnel::sync_map<int, std::string>>);
  static_assert(stays_what_it_is<runnel::atomic_value<int>>);
  static_assert(stays_what_it_is<runnel::errgroup>);
  static_assert(stays_what_it_is<runnel::singleflight<int, int>>);
  static_assert(stays_what_it_is<runnel::goroutine_local<int>>);
}

struct counter {
  runnel::mutex mu;
  int value = 0;
};

TEST(copies_of_locks, do_not_compile_inside_of_something_either) {
  static_assert(stays_what_it_is<counter>);
}

// What is a handle is copied: all copies mean the same.
TEST(copies_of_handles, compile) {
  static_assert(std::is_copy_constructible_v<runnel::chan<int>>);
  static_assert(std::is_copy_constructible_v<runnel::context>);
  static_assert(std::is_copy_constructible_v<runnel::timer>);
  static_assert(std::is_copy_constructible_v<runnel::ticker>);
}

}  // namespace
