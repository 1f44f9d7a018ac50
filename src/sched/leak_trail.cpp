#include "sched/leak_trail.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "base/check.h"
#include "sched/g.h"
#include "sched/survey.h"

namespace runnel::sched {
namespace {

std::string hex(std::uintptr_t address) {
  char digits[20];
  int n = std::snprintf(digits, sizeof digits, "0x%zx", static_cast<std::size_t>(address));
  return {digits, static_cast<std::size_t>(n)};
}

std::string name_of(const g& one) {
  std::string text = "goroutine " + std::to_string(one.id.load(std::memory_order_relaxed));
  if (one.work != nullptr && one.work->name != nullptr) {
    text.append(" \"").append(one.work->name).append("\"");
  }
  g_state state = one.state.load(std::memory_order_relaxed);
  text.append(" [").append(state_text(state, one.reason.load(std::memory_order_relaxed)));
  return text.append("]");
}

// A word in a node.
std::string in_node(const leak_step& node, std::uintptr_t at) {
  std::string text = std::to_string(at - node.base);
  switch (node.kind) {
    case leak_node::stack:
      text.append(" bytes above the end of the stack of ").append(name_of(*node.owner));
      break;
    case leak_node::record: text += " bytes into a goroutine's closure and its record"; break;
    case leak_node::chunk:
      text.append(" bytes into ").append(std::to_string(node.size)).append(" bytes of the heap");
      break;
    case leak_node::none: break;
  }
  return text.append(" at ").append(hex(node.base));
}

std::string in_registers(const leak_step& step, const leak_trails& all) {
  std::string text = "a register of thread " + std::to_string(step.tid);
  for (const leak_stack& s : all.stacks) {
    if (s.tid == step.tid && s.registers != 0 && step.at >= s.registers) {
      text += ", " + std::to_string(step.at - s.registers) + " bytes into its signal frame";
    }
  }
  return text;
}

// A word that is in none.
std::string in_root(std::uintptr_t at, const leak_trails& all) {
  for (const leak_stack& s : all.stacks) {
    if (s.sp > at || at >= s.end) continue;
    return std::to_string(at - s.sp) + " bytes above the stack pointer of thread " +
           std::to_string(s.tid) + " at " + hex(s.sp);
  }
  Dl_info known{};
  if (dladdr(reinterpret_cast<void*>(at), &known) == 0)
    return "memory of unknown use at " + hex(at);
  std::string text = known.dli_sname != nullptr ? known.dli_sname : "globals at " + hex(at);
  return text.append(" of ").append(known.dli_fname);
}

std::string cause_of(const leak_step& step, const leak_step* next, const leak_trails& all) {
  switch (step.why) {
    case leak_cause::registers: return in_registers(step, all);
    case leak_cause::stands: return "thread " + std::to_string(step.tid) + ", which runs on it";
    case leak_cause::state: return "nobody: it waits for what is not memory, or does not wait";
    case leak_cause::queued: return "a run queue";
    case leak_cause::timer: return "a timer";
    case leak_cause::memory: break;
  }
  return "the word " + (next != nullptr ? in_node(*next, step.at) : in_root(step.at, all));
}

}  // namespace

void print_trails(const leak_trails& all) {
  for (const leak_trail& trail : all.trails) {
    std::string text = "runnel: " + name_of(*trail.one) + " is held\n";
    for (std::size_t i = trail.first; i != trail.end; ++i) {
      const leak_step* next = i + 1 != trail.end ? &all.steps[i + 1] : nullptr;
      text += "    by " + cause_of(all.steps[i], next, all) + '\n';
    }
    base::write_error(text);
  }
}

}  // namespace runnel::sched
