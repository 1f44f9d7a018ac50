#pragma once
// Return addresses of the calls that are active, and what they mean.

#include <cstddef>
#include <string>

namespace runnel::platform {

// Stores at most `most` return addresses, innermost first, without the first `skip` callers; returns how many.
int capture_backtrace(void** frames, int most, int skip) noexcept;

// Where an address lies. Empty or 0: not known.
struct code_location {
  std::string function;    // demangled
  std::string file;        // of the source, or else of the program or library
  int line = 0;            // 0: `file` is a program or library
  std::size_t offset = 0;  // into the function, or into the program or library
};

// Of return addresses: the call before each. Loads elfutils' libdw when it is installed; without it, what the dynamic
// symbol table tells. Allocates.
class symbolizer {
 public:
  symbolizer();
  ~symbolizer();
  symbolizer(const symbolizer&) = delete;
  symbolizer& operator=(const symbolizer&) = delete;

  code_location locate(void* return_address);

 private:
  struct library;
  library* dw_ = nullptr;
  void* session_ = nullptr;
};

}  // namespace runnel::platform
