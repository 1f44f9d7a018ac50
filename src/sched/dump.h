#pragma once
// All goroutines as text, each with its stack; or each different stack once, with those that have it.

#include <string>

#include "base/text_writer.h"
#include "sched/stack_printer.h"
#include "sched/survey.h"

namespace runnel::sched {

struct dump_options {
  survey_kind kind = survey_kind::passing;
  bool fold = false;          // goroutines with the same state and stack together
  std::uint64_t without = 0;  // the goroutine that has been shown already
  std::uint64_t asker = 0;    // the goroutine that waits for the dump: as Go, it shows it running
};

// A goroutine's header, stack and creator.
void print_goroutine(base::text_writer& out, stack_printer& stacks, const goroutine_sample& one);

// By a thread without a P, and with a stack of its own kind: not on a goroutine's. With an empty line between them, and, if
// the program ends, before the first: more has been said before.
void dump_goroutines(base::text_writer& out, stack_printer& stacks, const dump_options& how);

}  // namespace runnel::sched
