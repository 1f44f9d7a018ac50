#include "sched/dump.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "sched/runtime.h"

namespace runnel::sched {
namespace {

void print_body(base::text_writer& out, stack_printer& stacks, const goroutine_sample& one,
                std::uint64_t creator) {
  if (one.no_stack != nullptr) {
    out << "\t(" << one.no_stack << ")\n";
  } else {
    stacks.print(out, one.stack(), one.elided);
  }
  if (one.creator_pc != nullptr) stacks.print_creator(out, creator, one.creator_pc);
}

// The same return addresses, and so the same text.
bool alike(const goroutine_sample& a, const goroutine_sample& b) {
  return a.state == b.state && a.creator_pc == b.creator_pc && a.no_stack == b.no_stack &&
         a.elided == b.elided && std::ranges::equal(a.stack(), b.stack());
}

std::size_t hash_of(const goroutine_sample& one) {
  auto hash = reinterpret_cast<std::size_t>(one.state);
  for (void* frame : one.stack()) {
    hash = (hash ^ reinterpret_cast<std::size_t>(frame)) * 0x100000001b3;
  }
  return hash;
}

class separator {
 public:
  explicit separator(bool at_first) : due_(at_first) {}
  void put(base::text_writer& out) {
    if (due_) out << '\n';
    due_ = true;
  }

 private:
  bool due_;
};

// Puts goroutines together that show the same text. Their return addresses may differ: those in the runtime, which are not
// shown, depend on what was to run next. Memory is bounded, whatever the stacks.
class folder {
 public:
  explicit folder(stack_printer& stacks) : stacks_(stacks) {}

  void add(const goroutine_sample& one) {
    std::size_t hash = hash_of(one);
    auto [begin, end] = found_.equal_range(hash);
    for (auto at = begin; at != end; ++at) {
      if (alike(variants_[at->second].sample, one)) {
        join(variants_[at->second].group, one);
        return;
      }
    }
    std::size_t at = group_of(one);
    if (variants_.size() < most) {
      found_.emplace(hash, variants_.size());
      variants_.push_back({one, at});
    }
    join(at, one);
  }

  // The most frequent first, those as frequent as they were found.
  void print(base::text_writer& out, separator& between) {
    std::vector<const group*> order;
    order.reserve(groups_.size());
    for (const group& these : groups_) order.push_back(&these);
    std::sort(order.begin(), order.end(), [](const group* a, const group* b) {
      return a->count != b->count ? a->count > b->count : a < b;
    });
    for (const group* each : order) {
      const group& these = *each;
      between.put(out);
      if (these.count > 1) {
        out << these.count << " goroutines with the same stack:";
        for (std::uint64_t id : these.ids) out << ' ' << id;
        out << (these.count > these.ids.size() ? " ...\n" : "\n");
      }
      print_goroutine(out, stacks_, these.first);
    }
    if (left_out_ != 0) {
      between.put(out);
      out << "... and " << left_out_ << " more goroutines with other stacks\n";
    }
  }

 private:
  static constexpr std::size_t most = 4096;
  static constexpr std::size_t ids_max = 8;
  static constexpr std::size_t no_group = SIZE_MAX;

  struct group {
    goroutine_sample first;
    std::vector<std::uint64_t> ids;
    std::uint64_t count = 0;
  };
  struct variant {
    goroutine_sample sample;
    std::size_t group;
  };

  std::size_t group_of(const goroutine_sample& one) {
    std::string text = one.state;
    {
      base::text_writer to(text);
      to << '\n';
      print_body(to, stacks_, one, 0);
    }
    if (auto known = by_text_.find(text); known != by_text_.end()) return known->second;
    if (groups_.size() == most) return no_group;
    by_text_.emplace(std::move(text), groups_.size());
    groups_.push_back({one, {}, 0});
    return groups_.size() - 1;
  }

  void join(std::size_t at, const goroutine_sample& one) {
    if (at == no_group) {
      ++left_out_;
      return;
    }
    group& these = groups_[at];
    ++these.count;
    if (these.ids.size() < ids_max) these.ids.push_back(one.id);
    these.first.waited_s = std::max(these.first.waited_s, one.waited_s);
  }

  stack_printer& stacks_;
  std::vector<group> groups_;
  std::vector<variant> variants_;
  std::unordered_multimap<std::size_t, std::size_t> found_;
  std::unordered_map<std::string, std::size_t> by_text_;
  std::uint64_t left_out_ = 0;
};

}  // namespace

void print_goroutine(base::text_writer& out, stack_printer& stacks, const goroutine_sample& one) {
  print_header(out, one);
  print_body(out, stacks, one, one.creator);
}

void dump_goroutines(base::text_writer& out, stack_printer& stacks, const dump_options& how) {
  survey all(how.kind);
  folder groups(stacks);
  separator between(how.kind == survey_kind::last);
  for (auto batch = all.next(); !batch.empty(); batch = all.next()) {
    rt().report_progress.fetch_add(1, std::memory_order_relaxed);
    for (goroutine_sample& one : batch) {
      if (one.id == how.without) continue;
      if (one.id == how.asker) {
        one.state = state_text(g_state::running, wait_reason::none);
        one.waited_s = 0;
      }
      if (how.fold) {
        groups.add(one);
      } else {
        between.put(out);
        print_goroutine(out, stacks, one);
      }
    }
  }
  if (how.fold) groups.print(out, between);
  if (all.more_not_begun() != 0) {
    between.put(out);
    out << "... and " << all.more_not_begun() << " more goroutines that have not begun\n";
  }
}

}  // namespace runnel::sched
