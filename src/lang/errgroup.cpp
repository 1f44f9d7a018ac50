#include "runnel/sync/errgroup.h"

#include <mutex>
#include <string>
#include <tuple>

#include "runnel/panic.h"

namespace runnel {

errgroup::errgroup(const context& parent, context& derived) {
  auto [ctx, cancel] = with_cancel_cause(parent);
  derived = std::move(ctx);
  cancel_ = std::move(cancel);
}

void errgroup::set_limit(int n) {
  if (int active = active_.load(std::memory_order_acquire)) {
    throw runtime_error("errgroup: modify limit while " + std::to_string(active) +
                        " goroutines in the group are still active");
  }
  places_ = n < 0 ? chan<unit>() : make_chan<unit>(static_cast<std::size_t>(n));
}

void errgroup::take_place() {
  if (places_) places_.send({});
  active_.fetch_add(1, std::memory_order_relaxed);
}

bool errgroup::try_take_place() {
  if (places_ && !places_.try_send(unit{})) return false;
  active_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void errgroup::give_place() noexcept {
  if (places_) std::ignore = places_.try_recv();
  active_.fetch_sub(1, std::memory_order_release);  // last: then the limit may change
}

void errgroup::start(part p, void* creator_pc) {
  try {
    running_.add(1);
    detail::spawn(nullptr, creator_pc, [this, p = std::move(p)]() mutable {
      // Also when the part ends by goexit. The place first: wait() may end the group.
      struct finish {
        errgroup& group;
        ~finish() {
          group.give_place();
          group.running_.done();
        }
      } on_exit{*this};
      part mine = std::move(p);  // what it captured ends before the group may
      run_part(mine);
    });
  } catch (...) {
    give_place();
    running_.done();
    throw;
  }
}

void errgroup::run_part(part& p) {
  try {
    if (std::error_code code = p()) fail(code, nullptr);
  } catch (...) {
    std::exception_ptr thrown = std::current_exception();
    if (detail::is_goexit(thrown)) throw;
    fail({}, thrown);
  }
}

void errgroup::fail(std::error_code code, const std::exception_ptr& thrown) noexcept {
  {
    std::lock_guard hold(mu_);
    if (failed_) return;
    failed_ = true;
    code_ = code;
    thrown_ = thrown;
  }
  if (!cancel_) return;
  if (thrown != nullptr) {
    (*cancel_)(thrown);
  } else {
    (*cancel_)(code);
  }
}

std::error_code errgroup::wait() {
  running_.wait();
  if (cancel_) (*cancel_)();
  std::lock_guard hold(mu_);
  if (thrown_ != nullptr) std::rethrow_exception(thrown_);
  return code_;
}

}  // namespace runnel
