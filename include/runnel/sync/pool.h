#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "runnel/detail/spin_bit.h"

namespace runnel {

namespace detail {

struct pool_node {
  pool_node* next = nullptr;
};

// The pool without its type: src/sync/pool.cpp. "Full" nodes hold a value, spare ones do not.
class pool_core {
 public:
  using end_node = void (*)(pool_node*) noexcept;

  // destroy: ends a full node. dispose: ends a spare one.
  constexpr pool_core(end_node destroy, end_node dispose) noexcept
      : destroy_(destroy), dispose_(dispose) {}
  ~pool_core();
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;

  pool_node* take();  // full; nullptr: there is none
  void give(pool_node* full) noexcept;
  pool_node* take_spare() noexcept;  // nullptr: there is none
  void give_spare(pool_node* spare) noexcept;

 private:
  friend struct pool_internals;

  // Under its lock.
  struct shared_stack {
    spin_bit lock;
    std::atomic<std::uint32_t> count{0};
    pool_node* top = nullptr;
  };
  struct lane;
  static constexpr int lanes_per_block = 16;
  static constexpr int blocks = 64;

  const end_node destroy_;
  const end_node dispose_;
  std::atomic<lane*> lanes_[blocks]{};  // of the Ps, sixteen at a time, made when one is needed
  shared_stack outside_;                // what plain threads gave
  shared_stack victims_;                // what nobody took during one cycle
  std::atomic<std::uint32_t> aged_{
      0};  // the runtime's count of house-keepings that we have followed
  std::atomic<bool> aging_{false};
};

}  // namespace detail

// A cache of things that are dear to make and cheap to use again (sync.Pool): buffers, encoders. Any thread.
//
//   pool<std::string> buffers([] { std::string s; s.reserve(4096); return s; });
//   std::string s = buffers.get();
//   …
//   s.clear();
//   buffers.put(std::move(s));
//
// get() returns any of the values that were put and not yet taken, or what the factory makes. It may miss some
// that another P keeps for itself (sixteen at most). What precedes a put happens before the get that returns its value.
//
// A value that nobody takes for one to two seconds goes: about once a second what is in the pool becomes a victim,
// still to be had, and those that have been victims for a second are destroyed. The next caller of the pool does that. So
// a pool that nobody uses any more keeps what is in it until it is destroyed, which destroys everything.
//
// The factory, and T's move constructor and destructor, are called without locks; the factory by several callers at
// once. What they throw leaves the pool as it was, but for the value that was being moved. The destructor must
// not run at the same time as anything else.
template <class T>
class pool {
 public:
  template <class Factory>
    requires std::is_invocable_r_v<T, Factory&>
  explicit pool(Factory factory) : factory_(std::move(factory)) {}
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  T get() {
    if (detail::pool_node* n = core_.take()) {
      struct recycle {
        pool& owner;
        node* full;
        ~recycle() {
          full->value.~T();
          owner.core_.give_spare(full);
        }
      } on_exit{*this, static_cast<node*>(n)};
      return T(std::move(on_exit.full->value));
    }
    return factory_();
  }

  void put(T value) {
    detail::pool_node* spare = core_.take_spare();
    node* n = spare != nullptr ? static_cast<node*>(spare) : new node;
    struct guard {
      node* n;
      ~guard() { delete n; }
    } on_throw{n};
    ::new (static_cast<void*>(std::addressof(n->value))) T(std::move(value));
    on_throw.n = nullptr;
    core_.give(n);
  }

 private:
  struct node : detail::pool_node {
    node() noexcept {}  // NOLINT: the value comes later
    ~node() {}          // and goes before
    union {
      T value;
    };
    static void destroy(pool_node* n) noexcept {
      static_cast<node*>(n)->value.~T();
      delete static_cast<node*>(n);
    }
    static void dispose(pool_node* n) noexcept { delete static_cast<node*>(n); }
  };

  std::function<T()> factory_;
  detail::pool_core core_{&node::destroy, &node::dispose};
};

}  // namespace runnel
