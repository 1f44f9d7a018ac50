#include "net/errors.h"

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>

#include "platform/lock.h"
#include "sched/runtime.h"

namespace runnel::net {
namespace {

constexpr int ours_base = 1 << 16;  // numbers of errc in an operation's category, above any errno
constexpr std::size_t categories_max = 4096;

class own_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "runnel.net"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::closed: return "use of closed network connection";
      case errc::timed_out: return "i/o timeout";
      case errc::unknown_network: return "unknown network";
      case errc::bad_address: return "malformed address";
      case errc::host_not_found: return "no such host";
      case errc::lookup_failed: return "temporary failure in name resolution";
      case errc::canceled: return "operation was canceled";
    }
    return "unknown error";
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::timed_out: return std::errc::timed_out;
      case errc::canceled: return std::errc::operation_canceled;
      case errc::bad_address: return std::errc::invalid_argument;
      default: return {value, *this};
    }
  }
  // error == errc::closed, whichever operation it came from.
  bool equivalent(const std::error_code& code, int value) const noexcept override;
};

// Never destroyed: errors may be looked at while the program ends.
union immortal_category {
  constexpr immortal_category() : value{} {}
  ~immortal_category() {}
  own_category value;
};
constinit immortal_category the_category;

class operation_category final : public std::error_category {
 public:
  explicit operation_category(std::string operation) : operation_(std::move(operation)) {}
  const char* name() const noexcept override { return "runnel.net"; }
  std::string message(int value) const override {
    return operation_ + ": " + plain(value).message();
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    return plain(value).default_error_condition();
  }

 private:
  static std::error_code plain(int value) noexcept {
    if (value >= ours_base) return {value - ours_base, the_category.value};
    return {value, std::system_category()};
  }
  const std::string operation_;
};

bool own_category::equivalent(const std::error_code& code, int value) const noexcept {
  if (code.category() == *this) return code.value() == value;
  return dynamic_cast<const operation_category*>(&code.category()) != nullptr &&
         code.value() == value + ours_base;
}

struct table {
  platform::lock lock;
  std::map<std::string, std::unique_ptr<operation_category>, std::less<>> known;
};

table* the_table() noexcept {
  std::atomic<void*>& place = sched::rt().net_errors;
  void* found = place.load(std::memory_order_acquire);
  if (found != nullptr) return static_cast<table*>(found);
  auto* made = new (std::nothrow) table;
  if (made == nullptr) return nullptr;
  if (place.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return made;
  delete made;
  return static_cast<table*>(found);
}

const operation_category* category_of(std::string_view operation) noexcept {
  table* t = the_table();
  if (t == nullptr) return nullptr;
  platform::lock_guard hold(t->lock);
  try {
    auto found = t->known.find(operation);
    if (found != t->known.end()) return found->second.get();
    if (t->known.size() >= categories_max) return nullptr;
    std::string text(operation);
    auto made = std::make_unique<operation_category>(text);
    return t->known.emplace(std::move(text), std::move(made)).first->second.get();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

const std::error_category& error_category() noexcept { return the_category.value; }
std::error_condition make_error_condition(errc e) noexcept {
  return {static_cast<int>(e), the_category.value};
}

std::error_code error_of(std::string_view operation, failure what) noexcept {
  if (!what) return {};
  if (const auto* category = category_of(operation)) {
    return {what.ours ? what.number + ours_base : what.number, *category};
  }
  if (what.ours) return {what.number, the_category.value};
  return {what.number, std::system_category()};
}

std::error_code error_of(std::string_view operation, std::string_view address,
                         failure what) noexcept {
  if (!what) return {};
  try {
    std::string whole(operation);
    whole += ' ';
    whole += address;
    if (const auto* category = category_of(whole)) {
      return {what.ours ? what.number + ours_base : what.number, *category};
    }
  } catch (const std::bad_alloc&) {
  }
  return error_of(operation, what);
}

}  // namespace runnel::net
