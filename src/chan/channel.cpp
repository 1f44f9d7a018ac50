#include "chan/channel.h"

#include <algorithm>

#include <new>

#include "base/check.h"
#include "chan/timer_channel.h"
#include "runnel/panic.h"

namespace runnel::detail {
namespace {

constexpr std::size_t size_max = std::size_t{1} << 47;  // the user's half of the address space

// While a move constructor or a destructor runs.
class moving {
 public:
  explicit moving(sched::m* self) noexcept : self_(self), pinned_(self) {
    if (self_ != nullptr) before_ = std::exchange(self_->moving, true);
  }
  ~moving() {
    if (self_ != nullptr) self_->moving = before_;
  }
  moving(const moving&) = delete;
  moving& operator=(const moving&) = delete;

 private:
  sched::m* self_;
  bool before_ = false;
  sched::pin pinned_;
};

// The node lies on the stack of a goroutine that has perhaps waited for long and is about to run: what the switch to it
// touches around the node is fetched at once, not line after line as it is found out.
void prefetch_frames(const chan_node& n) noexcept {
  constexpr std::ptrdiff_t below = 384, above = 256, line = 64;
  const auto* at = reinterpret_cast<const char*>(&n);
  for (std::ptrdiff_t i = -below; i <= above; i += line) __builtin_prefetch(at + i, 1);
}

constexpr std::size_t usual_alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

void* allocate(std::size_t size, std::size_t alignment) {
  return alignment <= usual_alignment ? ::operator new(size)
                                      : ::operator new(size, std::align_val_t{alignment});
}

void deallocate(void* memory, std::size_t alignment) noexcept {
  if (alignment <= usual_alignment) {
    ::operator delete(memory);
  } else {
    ::operator delete(memory, std::align_val_t{alignment});
  }
}

}  // namespace

void chan_queue::push_back(chan_node& n) noexcept {
  n.next = nullptr;
  n.prev = tail_;
  if (head_.load(std::memory_order_relaxed) == nullptr) {
    n.prev = nullptr;
    head_.store(&n, std::memory_order_relaxed);
  } else {
    tail_->next = &n;
  }
  tail_ = &n;
  n.queued = true;
}

void chan_queue::remove(chan_node& n) noexcept {
  if (!n.queued) return;
  if (n.prev == nullptr) {
    head_.store(n.next, std::memory_order_release);
  } else {
    n.prev->next = n.next;
  }
  if (n.next == nullptr) {
    tail_ = n.prev;
  } else {
    n.next->prev = n.prev;
  }
  n.queued = false;
}

void chan_queue::drop_frozen() noexcept {
  while (chan_node* n = head_.load(std::memory_order_relaxed)) {
    if (!n->who->frozen()) return;
    remove(*n);
  }
}

chan_node* chan_queue::pop_claimed_slow() noexcept {
  while (chan_node* n = head_.load(std::memory_order_relaxed)) {
    prefetch_frames(*n);
    remove(*n);
    n->next = nullptr;
    wait::waiter& who = *n->who;
    if (who.frozen()) continue;
    if (!n->contested) return n;
    // Not claimed: it belongs to another case, or its deadline has passed; it may go as soon as we unlock.
    if (wait::claim(who)) {
      who.won = n;
      return n;
    }
  }
  return nullptr;
}

channel::~channel() {
  if (type_.destroy == nullptr) return;
  for (std::size_t left = size(); left > 0; --left) {
    type_.destroy(slot(head_));
    head_ = head_ + 1 == capacity_ ? 0 : head_ + 1;
  }
}

void channel::refuse_nested_use() noexcept {
  base::fatal(
      "runnel: the move constructor of a channel's element must not use channels: its own is "
      "locked meanwhile",
      "channel used by the move constructor of a channel's element");
}

inline void channel::move(sched::m* self, void* to, void* from) const {
  if (type_.move != nullptr) {
    moving now(self);
    type_.move(to, from);
  } else {
    copy_plain(to, from);
  }
}

void channel::take_head_locked(sched::m* self, void* into) {
  // Whether the move throws or not, the element leaves: one that cannot be moved must not block those behind it.
  moving now(type_.destroy != nullptr ? self : nullptr);  // the destructor is the user's, too
  struct leave {
    channel& c;
    void* from;
    ~leave() {
      if (c.type_.destroy != nullptr) c.type_.destroy(from);
      c.head_ = c.head_ + 1 == c.capacity_ ? 0 : c.head_ + 1;
      c.count_.store(c.size() - 1, std::memory_order_release);
    }
  } on_exit{*this, slot(head_)};
  move(self, into, on_exit.from);
}

void channel::add_tail_locked(sched::m* self, void* value) {
  std::size_t n = size();
  std::size_t i = head_ + n;
  if (i >= capacity_) i -= capacity_;
  move(self, slot(i), value);
  count_.store(n + 1, std::memory_order_relaxed);
}

// Those whose value has moved, and those whose move has thrown, which try anew and meet their exception themselves, are
// partners to be woken.
void channel::refill_locked(sched::m* self, chan_node*& partner) noexcept {
  for (chan_node** last = &partner; size() < capacity_; last = &(*last)->next) {
    chan_node* s = senders.pop_claimed();
    if (s == nullptr) return;
    *last = s;
    s->result = chan_node::outcome::retry;
    try {
      add_tail_locked(self, s->element);
      s->result = chan_node::outcome::done;
    } catch (...) {
    }
  }
}

chan_status channel::try_send_locked(sched::m* self, void* value, chan_node*& partner) {
  if (closed_.load(std::memory_order_relaxed)) return chan_status::closed;
  if (chan_node* r = receivers.pop_claimed()) {
    partner = r;
    // What remains if the move throws: the receiver, which we have claimed, tries anew.
    r->result = chan_node::outcome::retry;
    move(self, r->element, value);
    r->result = chan_node::outcome::done;
    return chan_status::done;
  }
  if (size() >= capacity_) return chan_status::not_ready;
  add_tail_locked(self, value);
  return chan_status::done;
}

bool channel::timer_is_due() const noexcept { return timer_->due(); }

// Ticks that find one waiting are dropped.
void channel::put_timer_value_locked(sched::m* self, void* value, chan_node*& partner) noexcept {
  try_send_locked(self, value, partner);
}

bool channel::drop_timer_value_locked() noexcept {
  bool dropped = size() != 0;
  count_.store(0, std::memory_order_relaxed);
  return dropped;
}

chan_status channel::try_recv_locked(sched::m* self, void* into, chan_node*& partner) {
  if (timer_ != nullptr && size() == 0 && !somebody_waits_locked()) timer_->catch_up_locked();
  if (size() != 0) {
    // Whatever becomes of the element, its place is free, and senders that wait move up.
    struct refill {
      channel& c;
      sched::m* self;
      chan_node*& partner;
      ~refill() { c.refill_locked(self, partner); }
    } on_exit{*this, self, partner};
    take_head_locked(self, into);
    return chan_status::done;
  }
  if (chan_node* s = senders.pop_claimed()) {
    partner = s;
    // If the move throws, the exception is ours, and the value is still the sender's to send.
    s->result = chan_node::outcome::retry;
    move(self, into, s->element);
    s->result = chan_node::outcome::done;
    return chan_status::done;
  }
  return closed_.load(std::memory_order_relaxed) ? chan_status::closed : chan_status::not_ready;
}

bool channel::close_locked(chan_node*& waited) noexcept {
  if (closed_.load(std::memory_order_relaxed)) return false;
  closed_.store(true, std::memory_order_release);
  chan_node** last = &waited;
  for (chan_queue* queue : {&receivers, &senders}) {
    while (chan_node* n = queue->pop_claimed()) {
      n->result = chan_node::outcome::closed;
      n->next = nullptr;
      *last = n;
      last = &n->next;
    }
  }
  return true;
}

channel* chan_make(const element_type& type, std::size_t capacity) {
  std::size_t alignment = std::max(type.alignment, alignof(channel));
  std::size_t ring = (sizeof(channel) + alignment - 1) / alignment * alignment;
  if (capacity > (size_max - ring) / type.size) {
    throw runtime_error("makechan: size out of range");
  }
  auto* memory = static_cast<char*>(allocate(ring + capacity * type.size, alignment));
  return ::new (memory) channel(type, capacity, memory + ring);
}

void chan_retain(channel* c) noexcept {
  if (c != nullptr) c->retain();
}

void chan_release(channel* c) noexcept {
  if (c == nullptr || !c->release()) return;
  std::size_t alignment = c->type().alignment;
  c->~channel();
  deallocate(c, alignment);
}

bool chan_shared(const channel* c) noexcept { return c->shared(); }

std::size_t chan_len(const channel* c) noexcept {
  return c == nullptr || c->timer() != nullptr ? 0 : c->size();
}
std::size_t chan_cap(const channel* c) noexcept {
  return c == nullptr || c->timer() != nullptr ? 0 : c->capacity();
}

}  // namespace runnel::detail
