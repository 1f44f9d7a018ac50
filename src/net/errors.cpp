#include "net/errors.h"

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "platform/lock.h"
#include "sched/runtime.h"

namespace runnel::net {
namespace {

constexpr int ours_base = 1 << 16;  // numbers of errc in an operation's category, above any errno
constexpr std::size_t categories_max = 32'768;     // some megabytes
constexpr std::size_t networks_max = 256;          // beyond them, for operations with their network
constexpr std::size_t no_bound = ~std::size_t{0};  // for operations alone: as many as the code has

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
      case errc::not_ready: return "ended before it was ready";
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

// Of one operation, and one category of what can go wrong in it: nullptr, the system's and ours together.
class operation_category final : public std::error_category {
 public:
  operation_category(std::string operation, const std::error_category* of)
      : operation_(std::move(operation)), of_(of) {}
  const char* name() const noexcept override { return "runnel.net"; }
  std::string message(int value) const override {
    return operation_ + ": " + plain(value).message();
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    return plain(value).default_error_condition();
  }
  std::error_code plain(int value) const noexcept {
    if (of_ != nullptr) return {value, *of_};
    if (value >= ours_base) return {value - ours_base, the_category.value};
    return {value, std::system_category()};
  }

 private:
  const std::string operation_;
  const std::error_category* const of_;
};

bool own_category::equivalent(const std::error_code& code, int value) const noexcept {
  std::error_code plain = without_operation(code);
  return plain.category() == *this && plain.value() == value;
}

struct table {
  platform::lock lock;
  // By what they are of, too.
  std::map<std::pair<const std::error_category*, std::string>, std::unique_ptr<operation_category>>
      known;
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

// A new one only if there are fewer than `most`.
const operation_category* category_of(std::string_view operation, const std::error_category* of,
                                      std::size_t most) {
  table* t = the_table();
  if (t == nullptr) return nullptr;
  platform::lock_guard hold(t->lock);
  std::pair key(of, std::string(operation));
  auto found = t->known.find(key);
  if (found != t->known.end()) return found->second.get();
  if (t->known.size() >= most) return nullptr;
  auto made = std::make_unique<operation_category>(key.second, of);
  return t->known.emplace(std::move(key), std::move(made)).first->second.get();
}

// With its address ("dial tcp 127.0.0.1:80"), or at least its network, or alone.
const operation_category* category_of(std::string_view operation, std::string_view address,
                                      const std::error_category* of) noexcept {
  try {
    const operation_category* found = nullptr;
    if (!address.empty()) {
      std::string whole = std::string(operation) + " " + std::string(address);
      found = category_of(whole, of, categories_max);
      std::size_t space = address.find(' ');
      if (found == nullptr && space != std::string_view::npos) {
        found = category_of(std::string_view(whole).substr(0, operation.size() + 1 + space), of,
                            categories_max + networks_max);
      }
    }
    return found != nullptr ? found : category_of(operation, of, no_bound);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

std::error_code code_of(failure what, const operation_category* category) noexcept {
  if (category != nullptr) return {what.ours ? what.number + ours_base : what.number, *category};
  if (what.ours) return {what.number, the_category.value};
  return {what.number, std::system_category()};
}

}  // namespace

const std::error_category& error_category() noexcept { return the_category.value; }
std::error_condition make_error_condition(errc e) noexcept {
  return {static_cast<int>(e), the_category.value};
}

std::error_code error_of(std::string_view operation, std::string_view address,
                         failure what) noexcept {
  return what ? code_of(what, category_of(operation, address, nullptr)) : std::error_code();
}
std::error_code error_of(std::string_view operation, failure what) noexcept {
  return error_of(operation, {}, what);
}

std::error_code error_of(std::string_view operation, std::string_view address,
                         std::error_code what) noexcept {
  what = without_operation(what);
  if (what.category() == the_category.value) {
    return error_of(operation, address, failure::of(static_cast<errc>(what.value())));
  }
  if (what.category() == std::system_category()) {
    return error_of(operation, address, failure::of(what.value()));
  }
  if (!what) return {};
  const auto* category = category_of(operation, address, &what.category());
  return category != nullptr ? std::error_code(what.value(), *category) : what;
}
std::error_code error_of(std::string_view operation, std::error_code what) noexcept {
  return error_of(operation, {}, what);
}

std::error_code without_operation(const std::error_code& code) noexcept {
  const auto* category = dynamic_cast<const operation_category*>(&code.category());
  return category != nullptr ? category->plain(code.value()) : code;
}

}  // namespace runnel::net
