#include "sched/stack_printer.h"

#include <link.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "sched/runtime.h"

namespace runnel::sched {
namespace {

constexpr std::size_t end_frames = 50;  // shown of each end of a long stack, as Go does

constexpr std::array inside{"sched", "wait", "detail", "platform", "base", "poll", "memory"};
constexpr std::array standard{"__invoke", "invoke",    "invoke_impl",       "apply",
                              "__apply",  "function<", "_Function_handler", "move_only_function"};

// By the symbol, where there is one: demangled, the result's type may come first. `name` is what follows _Z and the letters
// that open a nested or local name.
bool is_plumbing_symbol(std::string_view symbol) {
  std::string_view name = symbol.substr(2);
  name.remove_prefix(std::min(name.find_first_not_of("ZNKL"), name.size()));
  bool ours = name.starts_with("6runnel");
  if (!ours && !name.starts_with("St")) return false;
  name.remove_prefix(ours ? 7 : 2);
  name.remove_prefix(std::min(name.find_first_not_of("0123456789"), name.size()));
  if (!ours) return std::ranges::any_of(standard, [&](auto one) { return name.starts_with(one); });
  return std::ranges::any_of(inside, [&](auto one) { return name.starts_with(one); });
}

bool is_plumbing(const platform::code_location& call) {
  if (call.symbol.starts_with("runnel_")) return true;
  if (call.symbol.starts_with("_Z")) return is_plumbing_symbol(call.symbol);
  std::string_view name = call.function;
  if (name.starts_with("std::")) {
    name.remove_prefix(5);
    return std::ranges::any_of(standard, [&](auto one) { return name.starts_with(one); });
  }
  if (!name.starts_with("runnel::")) return false;
  name.remove_prefix(8);
  return std::ranges::any_of(inside, [&](auto one) {
    return name.starts_with(one) && name.substr(std::string_view(one).size()).starts_with("::");
  });
}

void append_lines(std::string& to, const platform::code_location& where) {
  char place[40];
  to += where.function.empty() ? "?" : where.function;
  to += "\n\t";
  to += where.file.empty() ? "?" : where.file;
  if (where.line > 0) {
    std::snprintf(place, sizeof place, ":%d\n", where.line);
  } else {
    std::snprintf(place, sizeof place, " +0x%zx\n", where.offset);
  }
  to += place;
}

unsigned long long libraries_unloaded() noexcept {
  unsigned long long count = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* first, std::size_t, void* to) {
        *static_cast<unsigned long long*>(to) = first->dlpi_subs;
        return 1;
      },
      &count);
  return count;
}

}  // namespace

const stack_printer::address& stack_printer::at(void* return_address) {
  auto [found, fresh] = known_.try_emplace(return_address);
  address& one = found->second;
  if (!fresh) return one;
  rt().report_progress.fetch_add(1, std::memory_order_relaxed);
  if (!symbols_) symbols_.emplace();
  for (const auto& call : symbols_->locate(return_address)) {
    if (one.first.empty()) one.first = call.function;
    append_lines(one.everything, call);
    if (is_plumbing(call)) continue;
    append_lines(one.visible, call);
  }
  return one;
}

void stack_printer::begin() {
  constexpr std::size_t known_max = 100'000;
  unsigned long long unloaded = libraries_unloaded();
  if (unloaded == unloaded_ && known_.size() < known_max) return;
  known_.clear();
  symbols_.reset();
  unloaded_ = unloaded;
}

void stack_printer::print(base::text_writer& out, std::span<void* const> frames,
                          std::size_t elided) {
  bool everything = everything_ || std::ranges::none_of(frames, [this](void* frame) {
                      return !at(frame).visible.empty();
                    });
  std::size_t n = frames.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (n > 2 * end_frames && i == end_frames) {
      out << "..." << n - 2 * end_frames + elided << " frames elided...\n";
      i = n - end_frames;
    }
    const address& one = at(frames[i]);
    out << (everything ? one.everything : one.visible);
  }
}

void stack_printer::print_creator(base::text_writer& out, std::uint64_t creator, void* pc) {
  const address& one = at(pc);
  std::string_view lines = one.visible.empty() ? one.everything : one.visible;
  std::size_t name_end = lines.find('\n');
  std::size_t place_end = lines.find('\n', name_end + 1);
  out << "created by " << lines.substr(0, name_end);
  if (creator != 0) out << " in goroutine " << creator;
  out << lines.substr(name_end, place_end - name_end) << '\n';
}

std::span<void* const> stack_printer::below_the_throw(std::span<void* const> frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::string& name = at(frames[i]).first;
    if (name == "__cxa_throw" || name == "__cxa_rethrow" || name == "abort" ||
        name == "__GI_abort" ||
        name == "std::rethrow_exception(std::__exception_ptr::exception_ptr)") {
      return frames.subspan(i + 1);
    }
  }
  return frames;
}

}  // namespace runnel::sched
