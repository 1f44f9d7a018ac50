#include "platform/stack_walk.h"

#include <dlfcn.h>
#include <ucontext.h>
#include <unwind.h>

#include <algorithm>

namespace runnel::platform {
namespace {

struct walk {
  void** frames;
  int most;
  bool to_the_end;  // the last ones go round in the second half
  int count = 0;
  int own = 2;  // calls of ours still to pass: collect and the assembly frame
};

_Unwind_Reason_Code store_frame(_Unwind_Context* context, void* raw) {
  auto& w = *static_cast<walk*>(raw);
  if (w.own > 0) {
    --w.own;
    return _URC_NO_REASON;
  }
  int exact = 0;
  auto address = _Unwind_GetIPInfo(context, &exact);
  if (address == 0 || (w.count >= w.most && (!w.to_the_end || w.most == 0))) {
    return _URC_END_OF_STACK;
  }
  int half = w.most / 2;
  int at = w.count < w.most ? w.count : half + (w.count - half) % (w.most - half);
  w.frames[at] = reinterpret_cast<void*>(exact != 0 ? address + 1 : address);
  ++w.count;
  return _URC_NO_REASON;
}

void collect(void* raw) {
  _Unwind_Backtrace(&store_frame, raw);
  asm volatile("");  // no tail call: collect is one of the frames to pass
}

bool is_code(std::uintptr_t pc) noexcept {
  auto* at = reinterpret_cast<void*>(pc);
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  // Without a lock, which a thread that a signal has stopped may hold. Since glibc 2.35.
  dl_find_object known;
  return _dl_find_object(at, &known) == 0;
#else
  Dl_info known;
  return dladdr(at, &known) != 0;
#endif
}

// The registers as they were before the call that led to where no code is.
registers before_the_call(registers at) noexcept {
#if defined(__x86_64__)
  at.pc = *reinterpret_cast<const std::uintptr_t*>(at.sp);
  at.sp += sizeof(std::uintptr_t);
#elif defined(__aarch64__)
  at.pc = at.lr;
#endif
  return at;
}

void put_in_order(const walk& w) noexcept {
  if (w.count <= w.most || w.most == 0) return;
  int half = w.most / 2;
  int oldest = half + (w.count - half) % (w.most - half);
  std::rotate(w.frames + half, w.frames + oldest, w.frames + w.most);
}

int walk_from_registers(const registers& at, walk_from from, walk w) noexcept {
  if (from == walk_from::instruction && !is_code(at.pc)) {
    if (w.most == 0) return 0;
    *w.frames++ = reinterpret_cast<void*>(at.pc + 1);
    --w.most;
    registers caller = before_the_call(at);
    runnel_walk_from_call(&caller, &collect, &w);
    put_in_order(w);
    return w.count + 1;
  }
  if (from == walk_from::call) {
    runnel_walk_from_call(&at, &collect, &w);
  } else {
    runnel_walk_from_instruction(&at, &collect, &w);
  }
  put_in_order(w);
  return w.count;
}

}  // namespace

registers registers_of_context(const void* context) noexcept {
  const auto* saved = static_cast<const std::uintptr_t*>(context);
  registers r{};
#if defined(__x86_64__)
  r.rbp = saved[0];
  r.rbx = saved[1];
  r.r12 = saved[2];
  r.r13 = saved[3];
  r.r14 = saved[4];
  r.r15 = saved[5];
  r.pc = saved[6];
  r.sp = reinterpret_cast<std::uintptr_t>(saved + 7);
#elif defined(__aarch64__)
  for (int i = 0; i < 10; ++i) r.x19_to_x28[i] = saved[i];
  r.fp = saved[10];
  r.lr = r.pc = saved[11];
  r.sp = reinterpret_cast<std::uintptr_t>(saved + 20);
#endif
  return r;
}

registers registers_of_signal(const void* ucontext) noexcept {
  const auto& machine = static_cast<const ucontext_t*>(ucontext)->uc_mcontext;
  registers r{};
#if defined(__x86_64__)
  auto of = [&](int which) { return static_cast<std::uintptr_t>(machine.gregs[which]); };
  r = {of(REG_RBX), of(REG_RBP), of(REG_R12), of(REG_R13),
       of(REG_R14), of(REG_R15), of(REG_RSP), of(REG_RIP)};
#elif defined(__aarch64__)
  for (int i = 0; i < 10; ++i) r.x19_to_x28[i] = machine.regs[19 + i];
  r.fp = machine.regs[29];
  r.lr = machine.regs[30];
  r.sp = machine.sp;
  r.pc = machine.pc;
#endif
  return r;
}

int walk_stack(const registers& at, walk_from from, void** frames, int most) noexcept {
  return walk_from_registers(at, from, {frames, most, false});
}

int walk_stack_ends(const registers& at, walk_from from, void** frames, int most) noexcept {
  return walk_from_registers(at, from, {frames, most, true});
}

}  // namespace runnel::platform
