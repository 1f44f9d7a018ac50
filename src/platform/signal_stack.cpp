#include "platform/signal_stack.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>

#include "platform/address_space.h"

// Newer than the oldest headers we build with; the number is the kernel's interface.
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

namespace runnel::platform {
namespace {

// What the kernel pushes grows with the machine's vector registers: room for three signals, one within the other.
std::size_t wanted_size() noexcept {
  std::size_t page = page_size();
  std::size_t size = std::max<std::size_t>(signal_stack::size_min,
                                           4 * static_cast<std::size_t>(getauxval(AT_MINSIGSTKSZ)));
  return (size + page - 1) / page * page;
}

}  // namespace

signal_stack::signal_stack() noexcept {
  stack_t now{};
  if (sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
  std::size_t guard = page_size();
  std::size_t size = wanted_size() + guard;
  void* begin = reserve(size, page_size());
  if (begin == nullptr) return;
  // A mapping of its own, unlike a light guard, of which debuggers that write a core know nothing: they would leave out all
  // of the mapping that it lies in.
  mprotect(begin, guard, PROT_NONE);
  stack_t wish{};
  wish.ss_sp = static_cast<char*>(begin) + guard;
  wish.ss_size = size - guard;
  if (sigaltstack(&wish, nullptr) != 0) {
    unreserve(begin, size);
    return;
  }
  begin_ = begin;
  size_ = size;
}

signal_stack::~signal_stack() {
  if (begin_ == nullptr) return;
  // The program may have put another one in its place meanwhile; ours is out of use then.
  stack_t now{};
  if (sigaltstack(nullptr, &now) == 0 && now.ss_sp >= begin_ &&
      now.ss_sp < static_cast<char*>(begin_) + size_) {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  unreserve(begin_, size_);
}

}  // namespace runnel::platform
