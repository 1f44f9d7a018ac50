#pragma once
// RUNNEL_DEBUG: switches of the runtime for finding faults, as in Go's GODEBUG: name=value, separated by commas.

#include <string_view>

namespace runnel::base {

// The number given to that name, the last if there are several; 0 if there is none.
int debug_switch(std::string_view name) noexcept;

// The same of a text in place of the environment's.
int debug_switch(std::string_view name, std::string_view text) noexcept;

}  // namespace runnel::base
