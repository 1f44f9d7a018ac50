#pragma once
// A context that can be cancelled, and what is to be told when it is.
//
// A cancellation goes over the tree in three steps, without recursion: every node below gets its error, and gives up its
// children; then all their done channels are closed, the lowest first; then functions and stop tokens are told. While a
// node has its error and is not finished, who asks for the error waits: done() is closed when an error is seen. The first two
// steps are done within the runtime, so that no end of a run stops them half way.
//
// Invariants, under the lock
//   err set       =>  the list of children is empty but for those that are about to end
//   child in the list  =>  child.parent == this
//   finishing     =>  err set, and the done channel, if it exists, is closed or about to be
//   finished      =>  it is closed
// One lock is held at a time, and nothing that may enter the runtime is called under it: a goroutine that yields while
// it holds a spin lock would keep the others of its P spinning. Children are told outside of the lock, kept meanwhile.
//
// What is told by a node whose last handle goes, and may still be seen by others (a function, a done channel, a stop
// token), moves to the node above.
// Pairing: the release of err and of finished with the acquire of who reads them.

#include <atomic>
#include <exception>
#include <functional>
#include <optional>
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

  // A node that itself can be cancelled.
  virtual cancel_node* as_node() noexcept { return nullptr; }
  // Under the parent's lock: keeps it until unkeep(). False: it is about to end.
  virtual bool keep() noexcept { return true; }
  virtual void unkeep() noexcept = 0;
  // Of others than nodes.
  virtual void cancelled() noexcept {}

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
  // Once it is set, done() is closed.
  context_errc err() noexcept;
  std::exception_ptr cause();
  std::int64_t deadline() const noexcept { return deadline_; }
  std::stop_token stop_token();

  // False: cancelled already; then the child is not linked.
  bool link(cancel_child& child) noexcept;
  // False: it was not linked any more.
  bool unlink(cancel_child& child) noexcept;

  cancel_node* as_node() noexcept override { return this; }
  bool keep() noexcept override { return try_retain(); }
  void unkeep() noexcept override { release(); }

 protected:
  void dispose() noexcept override;

 private:
  class stop_relay;
  class closer;
  struct told;

  bool cancel_inside(context_errc err, const std::exception_ptr& cause, told& all,
                     cancel_child*& ours, cancel_child*& others) noexcept;
  bool set_error(context_errc err, const std::exception_ptr& cause, told& to) noexcept;
  void finish() noexcept;
  void observed_locked() noexcept;
  void wait_finished() noexcept;
  void unlink_locked(cancel_child& child) noexcept;
  void leave_parent() noexcept;
  static void end_timer(func_timer* timer) noexcept;

  base::spin_lock lock_;
  std::atomic<context_errc> err_{};
  const std::int64_t deadline_;  // no_deadline: none
  cancel_node* const above_;     // the nearest above that can be cancelled
  cancel_child* children_ = nullptr;
  chan<unit> done_;
  std::atomic<channel*> done_made_{nullptr};  // done_'s, once it is there for good
  std::exception_ptr cause_;
  std::atomic<bool> finished_{false};
  // Under the lock.
  bool finishing_ = false;
  bool kept_by_timer_ = false;
  func_timer* timer_ = nullptr;
  std::optional<std::stop_source> stop_;
};

}  // namespace runnel::detail
