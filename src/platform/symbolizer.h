#pragma once
// What return addresses mean: functions, also those inlined there, source files and lines.
//
// Loads elfutils' libdw when it is installed, so that a program needs it only for better reports; without it, or
// without debug information, what the dynamic symbol table tells. Allocates; one thread at a time.

#include <cstddef>
#include <string>
#include <vector>

namespace runnel::platform {

// One call at an address. Empty or 0: not known.
struct code_location {
  std::string function;    // demangled
  std::string symbol;      // mangled; empty if the debug information has none
  std::string file;        // of the source, or else of the program or library
  int line = 0;            // 0: `file` is a program or library
  std::size_t offset = 0;  // into the program or library; into the address space if `file` is empty
};

class symbolizer {
 public:
  symbolizer();
  ~symbolizer();
  symbolizer(const symbolizer&) = delete;
  symbolizer& operator=(const symbolizer&) = delete;

  // The calls at the call before that return address, innermost first: those that were inlined, and at last the function
  // itself. Never empty.
  std::vector<code_location> locate(void* return_address);

 private:
  struct library;
  library* dw_ = nullptr;
  void* session_ = nullptr;
};

}  // namespace runnel::platform
