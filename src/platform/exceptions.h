#pragma once
// The C++ ABI's exception state of a thread: which exceptions are caught and how many are in flight.
// It is part of a goroutine and moves with it, so that a goroutine may park inside a catch block or while
// it unwinds. Layout: Itanium C++ ABI, exception handling, section 2.2.2 (__cxa_eh_globals).

namespace runnel::platform {

struct exception_state {
  void* caught = nullptr;
  unsigned int uncaught = 0;

  bool operator==(const exception_state&) const = default;
};

// The state of the calling thread; the address is constant for the life of the thread.
exception_state& thread_exception_state() noexcept;

}  // namespace runnel::platform
