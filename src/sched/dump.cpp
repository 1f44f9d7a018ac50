#include "sched/dump.h"

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "sched/runtime.h"

namespace runnel::sched {
namespace {

// Goroutines that show the same.
struct likes {
  static constexpr std::size_t ids_max = 8;
  goroutine_sample first;
  std::vector<std::uint64_t> ids;
  std::uint64_t count = 0;
};

bool alike(const goroutine_sample& a, const goroutine_sample& b) {
  return a.state == b.state && a.creator_pc == b.creator_pc && a.no_stack == b.no_stack &&
         std::ranges::equal(a.stack(), b.stack());
}

std::size_t hash_of(const goroutine_sample& one) {
  auto hash = reinterpret_cast<std::size_t>(one.state);
  for (void* frame : one.stack()) {
    hash = (hash ^ reinterpret_cast<std::size_t>(frame)) * 0x100000001b3;
  }
  return hash;
}

class folder {
 public:
  void add(const goroutine_sample& one) {
    auto [begin, end] = found_.equal_range(hash_of(one));
    for (auto at = begin; at != end; ++at) {
      if (alike(groups_[at->second].first, one)) {
        join(groups_[at->second], one);
        return;
      }
    }
    found_.emplace(hash_of(one), groups_.size());
    groups_.push_back({one, {}, 0});
    join(groups_.back(), one);
  }

  // The most frequent first.
  void print(base::text_writer& out, stack_printer& stacks) {
    // Not a stable sort: for that, Clang 19 finds fault with the library of GCC 12.
    std::ranges::sort(groups_, [](const likes& a, const likes& b) {
      return a.count != b.count ? a.count > b.count : a.first.id < b.first.id;
    });
    for (const likes& group : groups_) {
      if (group.count > 1) {
        out << '\n' << group.count << " goroutines with the same stack:";
        for (std::uint64_t id : group.ids) out << ' ' << id;
        out << (group.count > group.ids.size() ? " ...\n" : "\n");
      }
      out << (group.count > 1 ? "" : "\n");
      print_goroutine(out, stacks, group.first);
    }
  }

 private:
  static void join(likes& group, const goroutine_sample& one) {
    ++group.count;
    if (group.ids.size() < likes::ids_max) group.ids.push_back(one.id);
    group.first.waited_s = std::max(group.first.waited_s, one.waited_s);
  }

  std::vector<likes> groups_;
  std::unordered_multimap<std::size_t, std::size_t> found_;
};

}  // namespace

void print_goroutine(base::text_writer& out, stack_printer& stacks, const goroutine_sample& one) {
  print_header(out, one);
  if (one.no_stack != nullptr) {
    out << "\t(" << one.no_stack << ")\n";
  } else {
    stacks.print(out, one.stack());
  }
  if (one.creator_pc != nullptr && one.creator != 0) {
    stacks.print_creator(out, one.creator, one.creator_pc);
  }
}

void dump_goroutines(base::text_writer& out, stack_printer& stacks, const dump_options& how) {
  survey all(how.kind);
  folder groups;
  for (auto batch = all.next(); !batch.empty(); batch = all.next()) {
    rt().report_progress.fetch_add(1, std::memory_order_relaxed);
    for (const goroutine_sample& one : batch) {
      if (one.id == how.without) continue;
      if (how.fold) {
        groups.add(one);
      } else {
        out << '\n';
        print_goroutine(out, stacks, one);
      }
    }
  }
  if (how.fold) groups.print(out, stacks);
  if (all.more_not_begun() != 0) {
    out << "\n... and " << all.more_not_begun() << " more goroutines that have not begun\n";
  }
}

}  // namespace runnel::sched
