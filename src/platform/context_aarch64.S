// Context switch and goroutine entry for aarch64 (AAPCS64).
//
// A suspended context is one stack pointer. At that address lies, lowest first:
//
//    +0 x19,x20  +16 x21,x22  +32 x23,x24  +48 x25,x26  +64 x27,x28  +80 x29,x30
//    +96 d8,d9   +112 d10,d11 +128 d12,d13 +144 d14,d15            (160 bytes)
//
// x30 is the resume address. The floating-point control register is not in the frame:
// platform/fpu.h moves it when it differs.

#if defined(__aarch64__)

    .text

// void* runnel_context_switch(void** save /*x0*/, void* load /*x1*/, void* value /*x2*/)
    .globl  runnel_context_switch
    .type   runnel_context_switch, %function
    .p2align 5
runnel_context_switch:
    .cfi_startproc
    hint    #34                 // bti c
    sub     sp, sp, #160
    .cfi_adjust_cfa_offset 160
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1              // the new stack has the same frame: the rules above stay true
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #160
    .cfi_adjust_cfa_offset -160
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    mov     x0, x2
    // `ret`, although the address is another stack's: it keeps calls and returns in step for the return
    // predictor.
    ret
    .cfi_endproc
    .size   runnel_context_switch, .-runnel_context_switch

// The first frame of every goroutine: the entry function in x19, its argument in x20, the value handed
// over by the switch in x0. The return address is undefined, so unwinders stop here.
    .globl  runnel_context_entry
    .type   runnel_context_entry, %function
    .p2align 4
runnel_context_entry:
    .cfi_startproc
    .cfi_undefined x30
    hint    #34                 // bti c
    mov     x29, xzr
    mov     x30, xzr
    mov     x1, x0
    mov     x0, x20
    blr     x19
    brk     #1                  // the entry function does not return
    .cfi_endproc
    .size   runnel_context_entry, .-runnel_context_entry

// The one thread-local of the runtime: the thread's M. See platform/tls.h.
    .section .tbss,"awT",%nobits
    .globl  runnel_tls_m
    .type   runnel_tls_m, %object
    .size   runnel_tls_m, 8
    .p2align 3
runnel_tls_m:
    .zero   8

    .section .note.GNU-stack,"",%progbits

#endif
