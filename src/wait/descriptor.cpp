#include "wait/descriptor.h"

#include <unistd.h>

#include <cerrno>
#include <new>

#include "platform/lock.h"
#include "sched/network.h"
#include "wait/waiter.h"

namespace runnel::wait {
namespace {

// Of one who waits; on its stack.
struct io_waiter : waiter {
  using waiter::waiter;
  poll::ready_node node;
};

// Of a plain thread, too; the first to wait while every M sleeps elsewhere has one look into the poller.
class waiting_for_io {
 public:
  explicit waiting_for_io(sched::m* self) noexcept
      : count_(self != nullptr ? sched::rt().io_waits : sched::rt().io_thread_waits) {
    count_.fetch_add(1, std::memory_order_relaxed);
    if (self == nullptr) sched::watch_network();
  }
  ~waiting_for_io() { count_.fetch_sub(1, std::memory_order_relaxed); }
  waiting_for_io(const waiting_for_io&) = delete;
  waiting_for_io& operator=(const waiting_for_io&) = delete;

 private:
  std::atomic<int>& count_;
};

descriptor* take_free() noexcept {
  sched::runtime& r = sched::rt();
  {
    platform::lock_guard hold(r.descriptors);
    if (auto* found = static_cast<descriptor*>(r.free_descriptors)) {
      r.free_descriptors = found->next_free;
      return found;
    }
  }
  return new (std::nothrow) descriptor;
}

void give_free(descriptor& unused) noexcept {
  sched::runtime& r = sched::rt();
  platform::lock_guard hold(r.descriptors);
  unused.next_free = r.free_descriptors;
  r.free_descriptors = &unused;
}

}  // namespace

descriptor* descriptor::open(int fd, int& error) noexcept {
  sched::check_not_forked();
  poll::net_poller& net = sched::rt().net;
  error = net.open();
  if (error != 0) return nullptr;
  descriptor* made = take_free();
  if (made == nullptr) {
    error = ENOMEM;
    return nullptr;
  }
  made->deliver = &deliver_event;
  made->lock_.acquire();
  made->fd_ = fd;
  std::uint16_t tag = made->tag_;
  made->read_.deadline = made->write_.deadline = platform::time_never;
  made->read_.ready.store(false, std::memory_order_relaxed);
  made->write_.ready.store(false, std::memory_order_relaxed);
  made->drained_.store(false, std::memory_order_relaxed);
  made->urgent_.store(false, std::memory_order_relaxed);
  made->users_.store(1, std::memory_order_relaxed);
  made->lock_.release();
  error = net.add(fd, *made, tag);
  if (error == 0) return made;
  made->lock_.acquire();
  ++made->tag_;
  made->lock_.release();
  give_free(*made);
  return nullptr;
}

bool descriptor::acquire() noexcept {
  std::uint32_t users = users_.load(std::memory_order_relaxed);
  while ((users & closing_bit) == 0) {
    if (users_.compare_exchange_weak(users, users + 1, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void descriptor::release() noexcept {
  if (users_.fetch_sub(1, std::memory_order_acq_rel) != (closing_bit | 1)) return;
  // The last one, of a closed descriptor.
  ::close(fd_);
  give_free(*this);
}

bool descriptor::close() noexcept {
  if ((users_.fetch_or(closing_bit, std::memory_order_acq_rel) & closing_bit) != 0) return false;
  sched::rt().net.remove(fd_);
  lock_.acquire();
  ++tag_;
  lock_.release();
  wake_all(read_);
  wake_all(write_);
  release();
  return true;
}

// Wakes plain threads; adds goroutines to the list.
void descriptor::take_waiting_locked(side& s, poll::ready_list& ready) noexcept {
  while (waiter* w = s.waiting.pop_live()) {
    if (!claim(*w)) continue;  // its deadline was faster
    if (w->gp == nullptr) {
      w->parked.unpark();
      continue;
    }
    auto& node = static_cast<io_waiter*>(w)->node;
    node.token = w->gp;
    ready.push_back(&node);
  }
}

void descriptor::deliver_event(event_source& source, std::uint16_t tag, unsigned events,
                               poll::ready_list& ready) noexcept {
  auto& self = static_cast<descriptor&>(source);
  self.lock_.acquire();
  if (tag == self.tag_) {
    if ((events & poll::urgent) != 0) {
      self.urgent_.store(true, std::memory_order_relaxed);
      self.drained_.store(false, std::memory_order_relaxed);
    }
    for (auto [event, s] :
         {std::pair{poll::readable, &self.read_}, {poll::writable, &self.write_}}) {
      if ((events & event) == 0) continue;
      std::size_t before = ready.size();
      bool somebody = !s->waiting.empty();
      self.take_waiting_locked(*s, ready);
      // Those who timed out just now, or belong to a run that is over, do not count.
      if (!somebody || ready.size() == before) s->ready.store(true, std::memory_order_relaxed);
    }
  }
  self.lock_.release();
}

void descriptor::wake_all(side& s) noexcept {
  poll::ready_list ready;
  sched::m* self = sched::enter();
  lock_.acquire();
  take_waiting_locked(s, ready);
  lock_.release();
  sched::put_ready(self, ready);
  if (self != nullptr) sched::leave(self);
}

void descriptor::set_deadline(direction d, std::int64_t when) noexcept {
  lock_.acquire();
  of(d).deadline = when;
  lock_.release();
  wake_all(of(d));
}

io_outcome descriptor::wait(direction d) noexcept {
  sched::m* self = sched::enter();
  io_outcome result = wait_inside(self, d);
  if (self != nullptr) sched::leave(self);
  return result;
}

// Counted only inside the runtime: when a run ends, the count begins anew, and who was in it must not leave it later.
io_outcome descriptor::wait_inside(sched::m*& self, direction d) noexcept {
  waiting_for_io counted(self);
  lock_.acquire();
  side& s = of(d);
  std::int64_t deadline = s.deadline;
  io_outcome result = io_outcome::ready;
  if ((users_.load(std::memory_order_relaxed) & closing_bit) != 0) {
    result = io_outcome::closed;
  } else if (deadline != platform::time_never && deadline <= platform::nanotime()) {
    result = io_outcome::timed_out;
  } else if (!s.ready.exchange(false, std::memory_order_relaxed)) {
    return wait_locked(self, s, deadline);
  }
  lock_.release();
  return result;
}

// Releases the lock.
io_outcome descriptor::wait_locked(sched::m*& self, side& s, std::int64_t deadline) noexcept {
  io_waiter me(self);
  s.waiting.push_back(me);
  wait::release unguard{[](void* lock) noexcept { static_cast<base::spin_lock*>(lock)->release(); },
                        &lock_};
  self = deadline == platform::time_never
             ? block(self, me, sched::wait_reason::io_wait, unguard)
             : block_until(self, me, sched::wait_reason::io_wait, unguard, deadline);
  io_outcome result = io_outcome::ready;
  if (me.how.load(std::memory_order_acquire) == outcome::timed_out) {
    lock_.acquire();
    if (me.linked()) s.waiting.remove(me);
    // Moved meanwhile: whoever moved it was too late to wake us.
    if (s.deadline == deadline) result = io_outcome::timed_out;
    lock_.release();
  }
  if ((users_.load(std::memory_order_relaxed) & closing_bit) != 0) result = io_outcome::closed;
  return result;
}

}  // namespace runnel::wait
