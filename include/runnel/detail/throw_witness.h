#pragma once
// What sees an exception while the stack it was thrown on is still there. Not for programs.
//
// Before anything is unwound, the unwinder looks for a handler: of each catch clause it asks the std::type_info, by a
// virtual function, whether it takes the exception. Ours (src/lang/throw_witness.cpp) notes the exception and the stack, and
// says no. So
//
//   try { … } catch (throw_witness&) { __builtin_unreachable(); } catch (...) { … }
//
// costs nothing while nobody throws. Whoever has such a clause takes what was noted (take_sighting), since the
// clause after it catches whatever is thrown.

namespace runnel::detail {

// There is none. Its key function is nowhere, so that compilers take its type_info from us.
struct throw_witness {
  throw_witness() = delete;
  virtual ~throw_witness();
};

}  // namespace runnel::detail
