#include "poll/net_poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/sync_policy.h"
#include "platform/keep_errno.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

namespace runnel::poll {
namespace {

constexpr int tag_shift = 48;  // addresses of user space end below
constexpr int events_max = 128;

std::uint64_t name_of(const event_source* source, std::uint16_t tag) noexcept {
  return reinterpret_cast<std::uintptr_t>(source) | std::uint64_t{tag} << tag_shift;
}

}  // namespace

int net_poller::open() noexcept {
  if (is_open()) return 0;
  platform::keep_errno keep;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return errno;
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;  // no source: the bell
  if (bell < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event) != 0) {
    int error = errno;
    if (bell >= 0) close(bell);
    close(epoll);
    return error;
  }
  int none = -1;
  if (!bell_.compare_exchange_strong(none, bell, std::memory_order_acq_rel)) {
    // Somebody else is faster.
    close(bell);
    close(epoll);
    while (!is_open()) {
    }
    return 0;
  }
  epoll_.store(epoll, std::memory_order_release);
  return 0;
}

int net_poller::add(int fd, event_source& source, std::uint16_t tag) noexcept {
  platform::keep_errno keep;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  event.data.u64 = name_of(&source, tag);
  int rc = epoll_ctl(epoll_.load(std::memory_order_acquire), EPOLL_CTL_ADD, fd, &event);
  return rc == 0 ? 0 : errno;
}

void net_poller::remove(int fd) noexcept {
  platform::keep_errno keep;
  epoll_event event{};
  epoll_ctl(epoll_.load(std::memory_order_acquire), EPOLL_CTL_DEL, fd, &event);
}

int net_poller::wait(void* raw, int most, std::int64_t until) noexcept {
  auto* events = static_cast<epoll_event*>(raw);
  int epoll = epoll_.load(std::memory_order_acquire);
  if (until == 0) return epoll_wait(epoll, events, most, 0);
  std::int64_t left = until == platform::time_never ? -1 : until - platform::nanotime();
  if (until != platform::time_never && left <= 0) return epoll_wait(epoll, events, most, 0);
  // Nanoseconds since Linux 5.11.
  if (precise_.load(std::memory_order_relaxed)) {
    timespec limit{left / 1'000'000'000, left % 1'000'000'000};
    long n =
        syscall(SYS_epoll_pwait2, epoll, events, most, left < 0 ? nullptr : &limit, nullptr, 0);
    if (n >= 0 || errno != ENOSYS) return static_cast<int>(n);
    precise_.store(false, std::memory_order_relaxed);
  }
  std::int64_t ms = left < 0 ? -1 : std::min<std::int64_t>((left + 999'999) / 1'000'000, INT_MAX);
  return epoll_wait(epoll, events, most, static_cast<int>(ms));
}

std::size_t net_poller::poll(std::int64_t until, ready_list& ready) noexcept {
  platform::keep_errno keep;
  epoll_event events[events_max];
  int n = wait(events, events_max, until);
  last_poll_.store(platform::nanotime(), std::memory_order_relaxed);
  std::size_t delivered = 0;
  for (int i = 0; i < n; ++i) {
    std::uint64_t name = events[i].data.u64;
    if (name == 0) {
      // Whoever polls without waiting leaves the bell to whoever waits: it is heard again.
      if (until == 0) continue;
      // In this order: a ring between the two would be silenced, and no later one could follow it.
      std::uint64_t rings;
      [[maybe_unused]] ssize_t rc =
          read(bell_.load(std::memory_order_relaxed), &rings, sizeof rings);
      ringing_.exchange(false, std::memory_order_seq_cst);
      // Who rang in between, and so did not ring, did before what we look for from here on.
      base::hardware::fence();
      continue;
    }
    constexpr std::uint32_t reads = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR;
    constexpr std::uint32_t writes = EPOLLOUT | EPOLLHUP | EPOLLERR;
    constexpr std::uint32_t others = EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    unsigned which = ((events[i].events & reads) != 0 ? readable : 0u) |
                     ((events[i].events & writes) != 0 ? writable : 0u) |
                     ((events[i].events & others) != 0 ? beyond : 0u);
    auto* source = reinterpret_cast<event_source*>(name & ((std::uint64_t{1} << tag_shift) - 1));
    auto deliver = source->deliver.load(std::memory_order_acquire);
    deliver(*source, static_cast<std::uint16_t>(name >> tag_shift), which, ready);
    ++delivered;
  }
  return delivered;
}

void net_poller::interrupt() noexcept {
  if (ringing_.exchange(true, std::memory_order_seq_cst)) return;
  platform::keep_errno keep;
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t rc = write(bell_.load(std::memory_order_acquire), &one, sizeof one);
}

}  // namespace runnel::poll
