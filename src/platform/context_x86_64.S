// Context switch and goroutine entry for x86-64 (System V ABI).
//
// A suspended context is one stack pointer. At that address lies, lowest first:
//
//    +0  rbp  +8  rbx  +16 r12  +24 r13  +32 r14  +40 r15  +48 resume address
//
// The floating-point control words are not in the frame: platform/fpu.h moves them when they differ.
// The call frame information describes every instruction, so that an unwinder may stop anywhere.

#if defined(__x86_64__)

    .text

// void* runnel_context_switch(void** save /*rdi*/, void* load /*rsi*/, void* value /*rdx*/)
// Suspends the caller into *save, resumes `load`, whose own call returns `value`.
    .globl  runnel_context_switch
    .type   runnel_context_switch, @function
    .p2align 5
runnel_context_switch:
    .cfi_startproc
    endbr64
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp          // the new stack has the same frame: the rules above stay true
    movq    %rdx, %rax
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    // `ret`, although the address is another stack's: it keeps calls and returns in step for the return
    // stack buffer, and the usual target, the call site in run_next, is even the one predicted.
    ret
    .cfi_endproc
    .size   runnel_context_switch, .-runnel_context_switch

// The first frame of every goroutine. A new context resumes here with the entry function in r12 and its
// argument in r13; rax holds the value handed over by the switch. There is no caller: the return address
// is undefined, and unwinders, gdb included, stop at this frame.
    .globl  runnel_context_entry
    .type   runnel_context_entry, @function
    .p2align 4
runnel_context_entry:
    .cfi_startproc
    .cfi_undefined %rip
    .cfi_undefined %rbp
    endbr64
    xorl    %ebp, %ebp          // frame-pointer walkers stop here too
    movq    %r13, %rdi
    movq    %rax, %rsi
    callq   *%r12
    ud2                         // the entry function does not return
    .cfi_endproc
    .size   runnel_context_entry, .-runnel_context_entry

// The one thread-local of the runtime: the thread's M. It is defined here, outside every compiler's and
// the link-time optimizer's sight, and read by platform/tls.h.
    .section .tbss,"awT",@nobits
    .globl  runnel_tls_m
    .type   runnel_tls_m, @object
    .size   runnel_tls_m, 8
    .p2align 3
runnel_tls_m:
    .zero   8

    .section .note.GNU-stack,"",@progbits

#endif
