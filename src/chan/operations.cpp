// Sending to, receiving from and closing one channel. Several at once are select.cpp's.

#include "chan/channel.h"
#include "chan/timer_channel.h"
#include "runnel/panic.h"

namespace runnel::detail {
namespace {

void unlock(void* c) noexcept { static_cast<channel*>(c)->unlock(); }

// A nil channel: until the deadline, or for ever.
chan_status wait_on_nil(std::int64_t deadline, sched::wait_reason why) noexcept {
  if (deadline == no_wait) return chan_status::not_ready;
  sched::m* self = sched::enter();
  wait::waiter me(self);
  wait::release nothing{[](void*) noexcept {}, nullptr};
  if (deadline != no_deadline) {
    self = wait::block_until(self, me, why, nothing, deadline);
    if (self != nullptr) sched::leave(self);
    return chan_status::timed_out;
  }
  for (;;) self = wait::block(self, me, why, nothing);
}

// One attempt: inside the runtime with the lock held until it waits. The destructor undoes it all, whether the
// attempt ended or a move has thrown.
class attempt {
 public:
  explicit attempt(channel& c) noexcept : self(sched::enter()), c_(c) { crowd_ = c_.lock(self); }
  // Inside and locked already.
  attempt(channel& c, sched::m* self, sched::p* crowd) noexcept
      : self(self), c_(c), crowd_(crowd) {}
  ~attempt() {
    if (locked_) c_.unlock();
    wake_partner(self, partner);
    if (crowd_ != nullptr) self = sched::gather(self, *crowd_);
    if (self != nullptr) sched::leave(self);
  }
  attempt(const attempt&) = delete;
  attempt& operator=(const attempt&) = delete;

  // Waits in `queue` for a partner. outcome::waiting: the deadline has passed.
  chan_node::outcome wait_in(chan_queue& queue, void* element, std::int64_t deadline,
                             sched::wait_reason why) noexcept {
    wait::waiter me(self);
    chan_node node{.next = nullptr,
                   .prev = nullptr,
                   .who = &me,
                   .element = element,
                   .contested = deadline != no_deadline,
                   .queued = false,
                   .result = chan_node::outcome::waiting};
    queue.push_back(node);
    if (c_.timer() != nullptr) c_.timer()->begin_wait_locked(self);
    locked_ = false;
    crowd_ = nullptr;  // whoever serves us has us where it runs
    wait::release unguard{&unlock, &c_};
    if (deadline == no_deadline) {
      self = wait::block(self, me, why, unguard);
      return node.result;
    }
    self = wait::block_until(self, me, why, unguard, deadline);
    if (me.how.load(std::memory_order_acquire) != wait::outcome::timed_out) return node.result;
    c_.lock(self);
    locked_ = true;
    queue.remove(node);
    if (c_.timer() != nullptr) c_.timer()->end_wait_locked();
    return chan_node::outcome::waiting;
  }

  sched::m* self;
  chan_node* partner = nullptr;

 private:
  channel& c_;
  sched::p* crowd_ = nullptr;
  bool locked_ = true;
};

chan_status to_status(chan_node::outcome result) noexcept {
  switch (result) {
    case chan_node::outcome::done: return chan_status::done;
    case chan_node::outcome::closed: return chan_status::closed;
    case chan_node::outcome::waiting: return chan_status::timed_out;
    case chan_node::outcome::retry: break;
  }
  return chan_status::not_ready;  // to be tried again
}

chan_status send_once(attempt& now, channel& c, void* value, std::int64_t deadline) {
  chan_status s = c.try_send_locked(now.self, value, now.partner);
  if (s != chan_status::not_ready || deadline == no_wait) return s;
  return to_status(now.wait_in(c.senders, value, deadline, sched::wait_reason::chan_send));
}

chan_status recv_once(attempt& now, channel& c, void* into, std::int64_t deadline) {
  chan_status s = c.try_recv_locked(now.self, into, now.partner);
  if (s != chan_status::not_ready || deadline == no_wait) return s;
  return to_status(now.wait_in(c.receivers, into, deadline, sched::wait_reason::chan_receive));
}

// Begin inside, with the lock.
[[gnu::noinline]] chan_status send_slow(sched::m* self, sched::p* crowd, channel& c, void* value,
                                        std::int64_t deadline) {
  chan_status s;
  {
    attempt first(c, self, crowd);
    s = send_once(first, c, value, deadline);
  }
  while (s == chan_status::not_ready && deadline != no_wait) {
    attempt another(c);
    s = send_once(another, c, value, deadline);
  }
  if (s == chan_status::closed) throw runtime_error("send on closed channel");
  return s;
}

[[gnu::noinline]] chan_status recv_slow(sched::m* self, sched::p* crowd, channel& c, void* into,
                                        std::int64_t deadline) {
  chan_status s;
  {
    attempt first(c, self, crowd);
    s = recv_once(first, c, into, deadline);
  }
  while (s == chan_status::not_ready && deadline != no_wait) {
    attempt another(c);
    s = recv_once(another, c, into, deadline);
  }
  return s;
}

}  // namespace

chan_status chan_send(channel* c, void* value, std::int64_t deadline) {
  if (c == nullptr) return wait_on_nil(deadline, sched::wait_reason::chan_send_nil);
  if (deadline == no_wait && c->send_would_wait()) return chan_status::not_ready;
  sched::m* self = sched::enter();
  sched::p* crowd = c->lock(self);
  if (!c->put_plain_locked(value)) return send_slow(self, crowd, *c, value, deadline);
  c->unlock();
  if (crowd != nullptr) [[unlikely]]
    self = sched::gather(self, *crowd);
  if (self != nullptr) sched::leave(self);
  return chan_status::done;
}

chan_status chan_recv(channel* c, void* into, std::int64_t deadline) {
  if (c == nullptr) return wait_on_nil(deadline, sched::wait_reason::chan_receive_nil);
  if (deadline == no_wait && c->recv_would_wait()) return chan_status::not_ready;
  sched::m* self = sched::enter();
  sched::p* crowd = c->lock(self);
  if (!c->get_plain_locked(into)) return recv_slow(self, crowd, *c, into, deadline);
  c->unlock();
  if (crowd != nullptr) [[unlikely]]
    self = sched::gather(self, *crowd);
  if (self != nullptr) sched::leave(self);
  return chan_status::done;
}

void chan_close(channel* c) {
  if (c == nullptr) throw runtime_error("close of nil channel");
  sched::m* self = sched::enter();
  chan_node* waited = nullptr;
  c->lock(self);
  bool closed = c->close_locked(waited);
  c->unlock();
  wake_partner(self, waited);
  if (self != nullptr) sched::leave(self);
  if (!closed) throw runtime_error("close of closed channel");
}

}  // namespace runnel::detail
