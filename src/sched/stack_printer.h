#pragma once
// Stacks as text, in Go's form: a line for the function, a line for the place.
//
// What an address means is looked up once, also for stacks to come: reading debug information takes a tenth of a second.
// Calls inside the runtime and the standard library's plumbing are left out,
// unless everything is asked for or nothing else would be left. One thread at a time; allocates.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/text_writer.h"
#include "platform/symbolizer.h"

namespace runnel::sched {

class stack_printer {
 public:
  explicit stack_printer(bool everything) noexcept : everything_(everything) {}

  // Return addresses, innermost first. Of a long stack, both ends; `elided` of the middle are not there.
  void print(base::text_writer& out, std::span<void* const> frames, std::size_t elided = 0);

  // "created by main()::{lambda()#1}::operator()() const in goroutine 1", and the place.
  void print_creator(base::text_writer& out, std::uint64_t creator, void* pc);

  // Before some stacks: if libraries have been unloaded since the last time, it forgets what it knows, for others may lie at
  // their addresses.
  void begin();

  // Gives back what is only needed to look addresses up.
  void rest() { symbols_.reset(); }
  bool rests() const { return !symbols_.has_value(); }

  // The stack without what raised the exception, or the signal of abort(): from the call that did.
  std::span<void* const> below_the_throw(std::span<void* const> frames);

 private:
  struct address {
    std::string visible;     // the lines, plumbing left out
    std::string everything;  // all
    std::string first;       // the name of the innermost call
  };
  const address& at(void* return_address);

  const bool everything_;
  std::optional<platform::symbolizer> symbols_;  // while addresses are looked up
  unsigned long long unloaded_ = 0;              // libraries, when known_ was true
  std::unordered_map<void*, address> known_;
};

}  // namespace runnel::sched
