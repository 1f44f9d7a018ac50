#include "wait/descriptor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
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
  int bell = -1;  // of a plain thread: an eventfd
};

constexpr std::int64_t bell_missing_ns = 10'000'000;

// In poll(2) until fd is ready, somebody has signalled, or the moment has come. False: the moment.
bool poll_until(int fd, short events, io_waiter& me, std::int64_t until) noexcept {
  for (;;) {
    if (me.how.load(std::memory_order_acquire) != outcome::pending) return true;
    std::int64_t now = platform::nanotime();
    if (until <= now) return false;
    std::int64_t wake_up = me.bell >= 0 ? until : std::min(until, now + bell_missing_ns);
    timespec limit{(wake_up - now) / 1'000'000'000, (wake_up - now) % 1'000'000'000};
    pollfd both[2] = {{fd, events, 0}, {me.bell, POLLIN, 0}};
    int n = ppoll(both, 2, wake_up == platform::time_never ? nullptr : &limit, nullptr);
    if (n > 0) return true;
  }
}

}  // namespace

descriptor* descriptor::take_free() noexcept {
  sched::runtime& r = sched::rt();
  {
    platform::lock_guard hold(r.descriptors);
    if (auto* found = static_cast<descriptor*>(r.free_descriptors)) {
      r.free_descriptors = found->next_free;
      return found;
    }
  }
  auto* made = new (std::nothrow) descriptor;
  // Once: a late event may be reading it while the memory is used anew.
  if (made != nullptr) made->deliver.store(&deliver_event, std::memory_order_release);
  return made;
}

void descriptor::give_free(descriptor& unused) noexcept {
  sched::runtime& r = sched::rt();
  platform::lock_guard hold(r.descriptors);
  unused.next_free = r.free_descriptors;
  r.free_descriptors = &unused;
}

descriptor* descriptor::open(int fd, int& error) noexcept {
  sched::check_not_forked();
  error = sched::open_network();
  if (error != 0) return nullptr;
  descriptor* made = take_free();
  if (made == nullptr) {
    error = ENOMEM;
    return nullptr;
  }
  made->lock_.acquire();
  made->fd_ = fd;
  std::uint16_t tag = made->tag_;
  for (side* s : {&made->read_, &made->write_}) {
    s->deadline.store(platform::time_never, std::memory_order_relaxed);
  }
  made->drained_.store(0, std::memory_order_relaxed);
  made->beyond_.store(false, std::memory_order_relaxed);
  made->users_.store(owned_bit | 1, std::memory_order_release);
  made->lock_.release();
  error = sched::rt().net.add(fd, *made, tag);
  if (error == 0) return made;
  made->lock_.acquire();
  ++made->tag_;
  made->users_.store(closing_bit, std::memory_order_relaxed);
  made->lock_.release();
  give_free(*made);
  return nullptr;
}

void descriptor::disown() noexcept {
  if (sched::rt().forked.load(std::memory_order_relaxed)) return;
  std::uint32_t before = users_.fetch_and(~owned_bit, std::memory_order_acq_rel);
  if (before == (closing_bit | owned_bit)) give_free(*this);
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
  int number = fd_;  // the memory may be another's as soon as we have let go
  std::uint32_t left = users_.fetch_sub(1, std::memory_order_acq_rel) - 1;
  if ((left & ~owned_bit) != closing_bit) return;
  ::close(number);
  if ((left & owned_bit) == 0) give_free(*this);
}

bool descriptor::close() noexcept {
  // A fork shares the poller with its parent, whose descriptor stays open.
  bool forked = sched::rt().forked.load(std::memory_order_relaxed);
  sched::m* self = forked ? nullptr : sched::enter();
  bool ours = (users_.fetch_or(closing_bit, std::memory_order_acq_rel) & closing_bit) == 0;
  if (ours && !forked) {
    sched::rt().net.remove(fd_);
    poll::ready_list ready;
    lock_.acquire();
    ++tag_;
    take_waiting_locked(read_, ready);
    take_waiting_locked(write_, ready);
    lock_.release();
    sched::put_ready(self, ready, sched::announce::always);
  }
  if (self != nullptr) sched::leave(self);
  if (ours) release();
  return ours;
}

// Wakes plain threads; adds goroutines to the list.
void descriptor::take_waiting_locked(side& s, poll::ready_list& ready) noexcept {
  while (waiter* w = s.waiting.pop_live()) {
    if (!claim(*w)) continue;  // its deadline was faster
    auto& io = *static_cast<io_waiter*>(w);
    if (w->gp == nullptr) {
      std::uint64_t one = 1;
      [[maybe_unused]] ssize_t rc = io.bell < 0 ? 0 : write(io.bell, &one, sizeof one);
      w->parked.unpark();
      continue;
    }
    io.node.token = w->gp;
    ready.push_back(&io.node);
  }
}

void descriptor::deliver_event(event_source& source, std::uint16_t tag, unsigned events,
                               poll::ready_list& ready) noexcept {
  auto& self = static_cast<descriptor&>(source);
  self.lock_.acquire();
  if (tag == self.tag_) {
    // Before it is counted: who sees the count sees this.
    if ((events & poll::beyond) != 0) self.beyond_.store(true, std::memory_order_relaxed);
    for (auto [event, s] :
         {std::pair{poll::readable, &self.read_}, {poll::writable, &self.write_}}) {
      if ((events & event) == 0) continue;
      s->events.fetch_add(1, std::memory_order_release);
      self.take_waiting_locked(*s, ready);
    }
  }
  self.lock_.release();
}

bool descriptor::is_late(direction d) noexcept {
  std::int64_t deadline = of(d).deadline.load(std::memory_order_relaxed);
  return deadline != platform::time_never && deadline <= platform::nanotime();
}

void descriptor::set_deadline(direction d, std::int64_t when) noexcept {
  side& s = of(d);
  poll::ready_list ready;
  sched::m* self = sched::enter();
  lock_.acquire();
  s.deadline.store(when, std::memory_order_relaxed);
  take_waiting_locked(s, ready);
  lock_.release();
  sched::put_ready(self, ready, sched::announce::always);
  if (self != nullptr) sched::leave(self);
}

bool descriptor::must_wait_locked(side& s, std::uint32_t seen, std::int64_t limit,
                                  io_outcome& result) noexcept {
  if (closing()) {
    result = io_outcome::closed;
  } else if (limit != platform::time_never && limit <= platform::nanotime()) {
    result = io_outcome::timed_out;
  } else if (s.events.load(std::memory_order_relaxed) != seen) {
    result = io_outcome::ready;
  } else {
    return true;
  }
  return false;
}

io_outcome descriptor::wait(direction d, std::uint32_t seen, std::int64_t until) noexcept {
  if (sched::m* self = sched::enter()) return wait_on_goroutine(self, of(d), seen, until);
  return wait_on_thread(d, seen, until);
}

io_outcome descriptor::wait_on_goroutine(sched::m* self, side& s, std::uint32_t seen,
                                         std::int64_t until) noexcept {
  io_outcome result;
  lock_.acquire();
  std::int64_t limit = std::min(until, s.deadline.load(std::memory_order_relaxed));
  if (!must_wait_locked(s, seen, limit, result)) {
    lock_.release();
    sched::leave(self);
    return result;
  }
  // Counted inside the runtime, out as well: the end of a run sets the count to zero.
  std::atomic<int>& waits = sched::rt().io_waits;
  waits.fetch_add(1, std::memory_order_relaxed);
  io_waiter me(self);
  s.waiting.push_back(me);
  wait::release unguard{[](void* lock) noexcept { static_cast<base::spin_lock*>(lock)->release(); },
                        &lock_};
  self = limit == platform::time_never
             ? block(self, me, sched::wait_reason::io_wait, unguard)
             : block_until(self, me, sched::wait_reason::io_wait, unguard, limit);
  waits.fetch_sub(1, std::memory_order_relaxed);
  result = io_outcome::ready;
  if (me.how.load(std::memory_order_acquire) == outcome::timed_out) {
    lock_.acquire();
    if (me.linked()) s.waiting.remove(me);
    // The deadline may have been moved meanwhile, too late to wake us: the caller tries again.
    limit = std::min(until, s.deadline.load(std::memory_order_relaxed));
    if (limit <= platform::nanotime()) result = io_outcome::timed_out;
    lock_.release();
  }
  if (closing()) result = io_outcome::closed;
  sched::leave(self);
  return result;
}

io_outcome descriptor::wait_on_thread(direction d, std::uint32_t seen,
                                      std::int64_t until) noexcept {
  sched::check_not_forked();
  if (!acquire()) return io_outcome::closed;
  side& s = of(d);
  io_outcome result;
  io_waiter me(nullptr);
  me.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  lock_.acquire();
  std::int64_t limit = std::min(until, s.deadline.load(std::memory_order_relaxed));
  bool waits = must_wait_locked(s, seen, limit, result);
  if (waits) s.waiting.push_back(me);
  lock_.release();
  if (waits) {
    std::atomic<int>& count = sched::rt().threads_waiting;
    count.fetch_add(1, std::memory_order_relaxed);
    short events = d == direction::read ? POLLIN | POLLRDHUP : POLLOUT;
    bool in_time = poll_until(fd_, events, me, limit);
    count.fetch_sub(1, std::memory_order_relaxed);
    result = in_time ? io_outcome::ready : io_outcome::timed_out;
    outcome pending = outcome::pending;
    if (me.how.compare_exchange_strong(pending, outcome::timed_out, std::memory_order_acq_rel)) {
      lock_.acquire();
      if (me.linked()) s.waiting.remove(me);
      lock_.release();
    } else {
      me.parked.park();  // the waker still uses our memory
      result = io_outcome::ready;
    }
    if (closing()) result = io_outcome::closed;
  }
  if (me.bell >= 0) ::close(me.bell);
  release();
  return result;
}

}  // namespace runnel::wait
