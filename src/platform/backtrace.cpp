#include "platform/backtrace.h"

#include <unwind.h>

namespace runnel::platform {
namespace {

struct capture {
  void** frames;
  int most;
  int skip;
  int count = 0;
};

_Unwind_Reason_Code store_frame(_Unwind_Context* context, void* raw) {
  auto& c = *static_cast<capture*>(raw);
  auto address = _Unwind_GetIP(context);
  if (address == 0) return _URC_END_OF_STACK;
  if (c.skip > 0) {
    --c.skip;
    return _URC_NO_REASON;
  }
  if (c.count == c.most) return _URC_END_OF_STACK;
  c.frames[c.count++] = reinterpret_cast<void*>(address);
  return _URC_NO_REASON;
}

}  // namespace

int capture_backtrace(void** frames, int most, int skip) noexcept {
  capture c{frames, most, skip + 1};
  _Unwind_Backtrace(&store_frame, &c);
  return c.count;
}

}  // namespace runnel::platform
