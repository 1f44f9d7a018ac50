#pragma once
// A context that can be cancelled, and what is to be told when it is.
//
// Invariants, under the lock
//   err set            =>  the list of children is empty but for those that are about to end
//   child in the list  =>  child.parent == this
//   done exists        =>  it is closed, or err is not set, or whoever set it is about to close it
// One lock is held at a time, and nothing that may enter the runtime is called under it: a goroutine that yields while
// it holds a spin lock would keep the others of its P spinning. Children are told outside of the lock, kept meanwhile.
// Pairing: the release of err with the acquire of who reads it.

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <stop_token>

#include "base/spin_lock.h"
#include "runnel/chan.h"
#include "runnel/context.h"
#include "runnel/detail/context_node.h"
#include "runnel/time.h"

namespace runnel::detail {

class cancel_node;

// What is told of a cancellation; linked in the nearest node above that can be cancelled.
class cancel_child {
 public:
  cancel_child* prev = nullptr;
  cancel_child* next = nullptr;
  cancel_node* parent = nullptr;  // while linked
  cancel_child* next_told = nullptr;

  // Under the parent's lock: keeps it until cancelled() has returned. False: it is about to end.
  virtual bool keep() noexcept = 0;
  virtual void cancelled(context_errc err, const std::exception_ptr& cause) noexcept = 0;
  virtual void unkeep() noexcept = 0;

 protected:
  ~cancel_child() = default;
};

class cancel_node : public context_node, public cancel_child {
 public:
  cancel_node(context_node* parent, std::int64_t deadline) noexcept;
  ~cancel_node() override;

  // Joins the tree, and is cancelled if its parent is. Then starts the timer, if the deadline is its own.
  void begin();

  void cancel(context_errc err, const std::exception_ptr& cause) noexcept;

  chan<unit> done();
  context_errc err() const noexcept { return err_.load(std::memory_order_acquire); }
  std::exception_ptr cause();
  std::int64_t deadline() const noexcept { return deadline_; }
  std::stop_token stop_token();

  // False: cancelled already; then the child is not linked.
  bool link(cancel_child& child) noexcept;
  // False: it was not linked any more.
  bool unlink(cancel_child& child) noexcept;

  bool keep() noexcept override { return try_retain(); }
  void cancelled(context_errc err, const std::exception_ptr& cause) noexcept override {
    cancel(err, cause);
  }
  void unkeep() noexcept override { release(); }

 protected:
  void dispose() noexcept override;

 private:
  class stop_relay;

  void unlink_locked(cancel_child& child) noexcept;
  void leave_parent() noexcept;
  void stop_timer() noexcept;

  base::spin_lock lock_;
  std::atomic<context_errc> err_{};
  const std::int64_t deadline_;  // no_deadline: none
  cancel_node* const above_;     // the nearest above that can be cancelled
  cancel_child* children_ = nullptr;
  chan<unit> done_;
  std::atomic<channel*> done_made_{nullptr};  // done_'s, once it is there for good
  std::exception_ptr cause_;
  std::atomic<func_timer*> timer_{nullptr};
  std::unique_ptr<stop_relay> relay_;
};

}  // namespace runnel::detail
