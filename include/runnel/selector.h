#pragma once
// A select over a number of cases that is known only at run time.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/chan.h"
#include "runnel/detail/select_cases.h"

namespace runnel {

// Collects cases and then does what select does with them: s.recv(ch, …), s.send(ch, v, …), s.timeout(d, …),
// s.otherwise(…), s.wait(). Each of the first four returns the case's index, which wait() returns when it takes it.
//
// wait() may be called again with the same cases: timeouts start anew. Channels and handlers are kept, `out` and a v
// given as an lvalue of the channel's type are referred to. Any other v is kept; once it has been sent, its case is
// no longer ready. A selector is not for use by several threads at once.
class selector {
 public:
  selector() = default;
  selector(selector&&) = default;
  selector& operator=(selector&&) = default;

  template <class Chan>
    requires detail::can_recv_from<Chan>
  std::size_t recv(const Chan& ch) {
    return add_recv(ch, detail::no_handler());
  }
  template <class Chan>
    requires detail::can_recv_from<Chan>
  std::size_t recv(const Chan& ch, std::optional<typename Chan::value_type>& out) {
    return add_recv(ch, detail::assign_to<typename Chan::value_type>{&out});
  }
  template <class Chan, class F>
    requires(detail::can_recv_from<Chan> &&
             std::is_invocable_v<std::decay_t<F>&, std::optional<typename Chan::value_type>>)
  std::size_t recv(const Chan& ch, F&& f) {
    return add_recv(ch, std::forward<F>(f));
  }

  template <class Chan, class V>
    requires(detail::can_send_to<Chan> && detail::can_send<typename Chan::value_type, V>)
  std::size_t send(const Chan& ch, V&& v) {
    return add_send(ch, std::forward<V>(v), detail::no_handler());
  }
  template <class Chan, class V, class F>
    requires(detail::can_send_to<Chan> && detail::can_send<typename Chan::value_type, V> &&
             std::is_invocable_v<std::decay_t<F>&>)
  std::size_t send(const Chan& ch, V&& v, F&& f) {
    return add_send(ch, std::forward<V>(v), std::forward<F>(f));
  }

  template <class Rep, class Period>
  std::size_t timeout(std::chrono::duration<Rep, Period> d) {
    return timeout(d, detail::no_handler());
  }
  template <class Rep, class Period, class F>
    requires std::is_invocable_v<std::decay_t<F>&>
  std::size_t timeout(std::chrono::duration<Rep, Period> d, F&& f) {
    return add(std::make_unique<clock_entry<std::decay_t<F>>>(detail::to_nanoseconds(d),
                                                              std::forward<F>(f)));
  }

  std::size_t otherwise() { return otherwise(detail::no_handler()); }
  template <class F>
    requires std::is_invocable_v<std::decay_t<F>&>
  std::size_t otherwise(F&& f) {
    return add(std::make_unique<clock_entry<std::decay_t<F>>>(0, std::forward<F>(f)));
  }

  // Does one of the operations, as select, and returns its index. Without any case: blocks for ever.
  std::size_t wait() {
    raw_.resize(entries_.size());  // one too many hurts nobody
    std::size_t n = 0;
    std::int64_t shortest = detail::no_deadline;
    std::size_t waiting = entries_.size();
    of_.clear();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i]->describe(raw_[n])) {
        of_.push_back(i);
        ++n;
      } else if (entries_[i]->limit() < shortest) {
        shortest = entries_[i]->limit();
        waiting = i;
      }
    }
    std::int64_t deadline = detail::select_deadline(std::chrono::nanoseconds(shortest));
    std::size_t taken = detail::select_run(raw_.data(), n, deadline);
    std::size_t result = taken == n ? waiting : of_[taken];
    entries_[result]->taken(raw_[taken]);
    return result;
  }

  std::size_t size() const noexcept { return entries_.size(); }
  void clear() noexcept { entries_.clear(); }

 private:
  struct entry {
    virtual ~entry() = default;
    virtual bool describe(detail::select_case& c) noexcept = 0;  // false: no channel, but a limit
    virtual std::int64_t limit() const noexcept { return detail::no_deadline; }
    virtual void taken(const detail::select_case& c) = 0;
  };

  template <class T, class F>
  struct recv_entry final : entry {
    template <class G>
    recv_entry(detail::chan_handle ch, G&& f) : ch_(std::move(ch)), f_(std::forward<G>(f)) {}
    bool describe(detail::select_case& c) noexcept override {
      c = {};
      c.ch = ch_.core();
      c.element = std::addressof(slot_.value);
      return true;
    }
    void taken(const detail::select_case& c) override {
      if (c.received) {
        f_(detail::take_received<std::optional<T>>(slot_));
      } else {
        f_(std::optional<T>());
      }
    }

    detail::chan_handle ch_;
    F f_;
    detail::element_slot<T> slot_;
  };

  // T* refers, std::optional<T> keeps.
  template <class T, class Held, class F>
  struct send_entry final : entry {
    template <class V, class G>
    send_entry(detail::chan_handle ch, V&& v, G&& f)
        : ch_(std::move(ch)), held_(std::forward<V>(v)), f_(std::forward<G>(f)) {}
    bool describe(detail::select_case& c) noexcept override {
      c = {};
      c.ch = held_ ? ch_.core() : nullptr;
      c.element = held_ ? std::addressof(*held_) : nullptr;
      c.sends = true;
      return true;
    }
    void taken(const detail::select_case&) override {
      if constexpr (!std::is_pointer_v<Held>) held_.reset();
      f_();
    }

    detail::chan_handle ch_;
    Held held_;
    F f_;
  };

  template <class F>
  struct clock_entry final : entry {
    template <class G>
    clock_entry(std::int64_t limit, G&& f) : limit_(limit), f_(std::forward<G>(f)) {}
    bool describe(detail::select_case&) noexcept override { return false; }
    std::int64_t limit() const noexcept override { return limit_; }
    void taken(const detail::select_case&) override { f_(); }

    std::int64_t limit_;
    F f_;
  };

  std::size_t add(std::unique_ptr<entry> e) {
    entries_.push_back(std::move(e));
    return entries_.size() - 1;
  }
  template <class Chan, class F>
  std::size_t add_recv(const Chan& ch, F&& f) {
    using T = typename Chan::value_type;
    return add(std::make_unique<recv_entry<T, std::decay_t<F>>>(ch, std::forward<F>(f)));
  }
  template <class Chan, class V, class F>
  std::size_t add_send(const Chan& ch, V&& v, F&& f) {
    using T = typename Chan::value_type;
    if constexpr (std::is_same_v<V, T&>) {
      return add(std::make_unique<send_entry<T, T*, std::decay_t<F>>>(ch, std::addressof(v),
                                                                      std::forward<F>(f)));
    } else {
      return add(std::make_unique<send_entry<T, std::optional<T>, std::decay_t<F>>>(
          ch, T(std::forward<V>(v)), std::forward<F>(f)));
    }
  }

  std::vector<std::unique_ptr<entry>> entries_;
  std::vector<detail::select_case> raw_;
  std::vector<std::size_t> of_;  // raw_'s places in entries_
};

}  // namespace runnel
