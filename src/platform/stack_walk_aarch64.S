// Walking a stack from a block of registers, for aarch64. The block, lowest first:
//
//    +0 .. +72 x19 .. x28   +80 x29   +88 x30   +96 sp   +104 pc
//
// As stack_walk_x86_64.S, which explains it; x19 (breg19: 0x83) holds the block's address during the call. Offsets above
// 63 take two bytes: 64 is 0xc0 0x00, 72 0xc8 0x00, 80 0xd0 0x00, 88 0xd8 0x00, 96 0xe0 0x00, 104 0xe8 0x00.

#if defined(__aarch64__)

    .text

.macro saved_registers
    .cfi_escape 0x0f, 0x04, 0x83, 0xe0, 0x00, 0x06    // cfa = block.sp
    .cfi_escape 0x10, 19, 0x02, 0x83, 0x00
    .cfi_escape 0x10, 20, 0x02, 0x83, 0x08
    .cfi_escape 0x10, 21, 0x02, 0x83, 0x10
    .cfi_escape 0x10, 22, 0x02, 0x83, 0x18
    .cfi_escape 0x10, 23, 0x02, 0x83, 0x20
    .cfi_escape 0x10, 24, 0x02, 0x83, 0x28
    .cfi_escape 0x10, 25, 0x02, 0x83, 0x30
    .cfi_escape 0x10, 26, 0x02, 0x83, 0x38
    .cfi_escape 0x10, 27, 0x03, 0x83, 0xc0, 0x00
    .cfi_escape 0x10, 28, 0x03, 0x83, 0xc8, 0x00
    .cfi_escape 0x10, 29, 0x03, 0x83, 0xd0, 0x00
.endm

// void runnel_walk_from_call(const void* registers /*x0*/, void (*walk)(void*) /*x1*/, void* argument /*x2*/)
// The return address is in x30's place: pc.
    .globl  runnel_walk_from_call
    .type   runnel_walk_from_call, %function
    .p2align 4
runnel_walk_from_call:
    .cfi_startproc
    hint    #34                 // bti c
    stp     x29, x30, [sp, #-32]!
    .cfi_adjust_cfa_offset 32
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    str     x19, [sp, #16]
    .cfi_rel_offset x19, 16
    mov     x19, x0
    mov     x0, x2
    .cfi_remember_state
    saved_registers
    .cfi_escape 0x10, 30, 0x03, 0x83, 0xe8, 0x00
    blr     x1
    nop
    .cfi_restore_state
    ldr     x19, [sp, #16]
    ldp     x29, x30, [sp], #32
    .cfi_adjust_cfa_offset -32
    .cfi_restore x19
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size   runnel_walk_from_call, .-runnel_walk_from_call

// The same from an instruction that has not been executed: this frame passes for a signal's. There the pc and
// x30 are two things; register 96 is what unwinders use for the pc then.
    .globl  runnel_walk_from_instruction
    .type   runnel_walk_from_instruction, %function
    .p2align 4
runnel_walk_from_instruction:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_return_column 96
    hint    #34                 // bti c
    stp     x29, x30, [sp, #-32]!
    str     x19, [sp, #16]
    mov     x19, x0
    mov     x0, x2
    saved_registers
    .cfi_escape 0x10, 30, 0x03, 0x83, 0xd8, 0x00
    .cfi_escape 0x10, 96, 0x03, 0x83, 0xe8, 0x00
    blr     x1
    nop
    ldr     x19, [sp, #16]
    ldp     x29, x30, [sp], #32
    ret
    .cfi_endproc
    .size   runnel_walk_from_instruction, .-runnel_walk_from_instruction

// void runnel_capture_registers(void* registers /*x0*/)
// The caller's, as they are when this has returned.
    .globl  runnel_capture_registers
    .type   runnel_capture_registers, %function
    .p2align 4
runnel_capture_registers:
    .cfi_startproc
    hint    #34                 // bti c
    stp     x19, x20, [x0, #0]
    stp     x21, x22, [x0, #16]
    stp     x23, x24, [x0, #32]
    stp     x25, x26, [x0, #48]
    stp     x27, x28, [x0, #64]
    stp     x29, x30, [x0, #80]
    mov     x9, sp
    stp     x9, x30, [x0, #96]
    ret
    .cfi_endproc
    .size   runnel_capture_registers, .-runnel_capture_registers

// void runnel_begin_blocking()
// runnel_begin_blocking_at(registers of the caller, as they are when this has returned)
    .globl  runnel_begin_blocking
    .type   runnel_begin_blocking, %function
    .p2align 4
runnel_begin_blocking:
    .cfi_startproc
    hint    #34                 // bti c
    sub     sp, sp, #128
    .cfi_adjust_cfa_offset 128
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    add     x9, sp, #128
    stp     x9, x30, [sp, #96]
    mov     x0, sp
    bl      runnel_begin_blocking_at
    ldp     x29, x30, [sp, #80]
    add     sp, sp, #128
    .cfi_adjust_cfa_offset -128
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size   runnel_begin_blocking, .-runnel_begin_blocking

    .section .note.GNU-stack,"",%progbits

#endif
