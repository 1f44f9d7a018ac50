#pragma once
// What the engine of the interleaver knows of memory and of threads: cells, buffered stores, announced operations.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/clock.h"

namespace runnel::model {

// The part of an atomic that does not depend on its type.
struct cell {
  std::uint32_t version = 0;  // stores that have reached memory
  vector_clock message;       // what an acquire load of the value in memory synchronizes with
  bool held() const noexcept { return version % 2 != 0; }  // of a lock, which changes by turns
};

struct buffered_store {
  cell* where;
  void* value_at;
  std::uint64_t bits;
  std::uint32_t size;
  vector_clock message;

  void reach_memory() const {
    std::memcpy(value_at, &bits, size);
    where->message = message;
  }
};

enum class op_kind : std::uint8_t {
  start,        // of a thread
  load,         //
  store,        // into the buffer
  rmw,          // and sequentially consistent stores: with an empty buffer, at once in memory
  fence,        // with an empty buffer
  lock,         // of a model::lock: as rmw, and when it is free
  drain,        // waits for an empty buffer, and is no more than that
  heavy_fence,  // with all buffers empty
  pause,        //
  sleep,        // the check of the futex word, with an empty buffer
  wake,         //
  asleep,       // not an operation: cannot go on alone
  woken,        //
  finished,     //
};

struct operation {
  op_kind kind = op_kind::start;
  cell* where = nullptr;
  bool weak = false;  // compare_exchange_weak, where the values are equal
};

enum class wake_reason : std::uint8_t { woken, timeout, spurious };

struct thread_state {
  std::string name;
  std::function<void()> body;
  operation op;
  bool spurious = false;
  bool with_deadline = false;
  wake_reason reason = wake_reason::woken;
  std::vector<buffered_store> buffer;  // oldest first
  std::vector<std::pair<cell*, std::uint32_t>>
      read;  // since the last pause: cells and their versions
  int idle_pauses = 0;
  std::uint64_t idle_since = 0;

  vector_clock clock;          // what happened before this thread's next event
  vector_clock to_acquire;     // read by loads that do not acquire, for the next fence
  vector_clock fence_release;  // as of the last fence, for stores that do not release
};

}  // namespace runnel::model
