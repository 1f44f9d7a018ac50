// Walking a stack from a block of registers, for x86-64. The block, lowest first:
//
//    +0 rbx  +8 rbp  +16 r12  +24 r13  +32 r14  +40 r15  +48 rsp  +56 rip
//
// The two walkers call walk(argument) from a frame whose call frame information says: the caller's registers
// are in the block. It is written as DWARF expressions relative to rbx, which holds the block's address during the call:
//    def_cfa_expression   0x0f, length, breg3 (0x73) offset, deref (0x06)
//    expression           0x10, register, length, breg3 (0x73) offset

#if defined(__x86_64__)

    .text

.macro walk_from_registers
    endbr64
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    movq    %rdi, %rbx
    movq    %rdx, %rdi
    .cfi_remember_state
    .cfi_escape 0x0f, 0x03, 0x73, 0x30, 0x06    // cfa = block.rsp
    .cfi_escape 0x10, 0x10, 0x02, 0x73, 0x38    // return address
    .cfi_escape 0x10, 0x03, 0x02, 0x73, 0x00    // rbx
    .cfi_escape 0x10, 0x06, 0x02, 0x73, 0x08    // rbp
    .cfi_escape 0x10, 0x0c, 0x02, 0x73, 0x10    // r12
    .cfi_escape 0x10, 0x0d, 0x02, 0x73, 0x18    // r13
    .cfi_escape 0x10, 0x0e, 0x02, 0x73, 0x20    // r14
    .cfi_escape 0x10, 0x0f, 0x02, 0x73, 0x28    // r15
    callq   *%rsi
    nop
    .cfi_restore_state
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    ret
.endm

// void runnel_walk_from_call(const void* registers /*rdi*/, void (*walk)(void*) /*rsi*/, void* argument /*rdx*/)
// rip is a return address: the unwinder looks for the call before it.
    .globl  runnel_walk_from_call
    .type   runnel_walk_from_call, @function
    .p2align 4
runnel_walk_from_call:
    .cfi_startproc
    walk_from_registers
    .cfi_endproc
    .size   runnel_walk_from_call, .-runnel_walk_from_call

// The same from an instruction that has not been executed: this frame passes for a signal's.
    .globl  runnel_walk_from_instruction
    .type   runnel_walk_from_instruction, @function
    .p2align 4
runnel_walk_from_instruction:
    .cfi_startproc
    .cfi_signal_frame
    walk_from_registers
    .cfi_endproc
    .size   runnel_walk_from_instruction, .-runnel_walk_from_instruction

// void runnel_capture_registers(void* registers /*rdi*/)
// The caller's, as they are when this has returned.
    .globl  runnel_capture_registers
    .type   runnel_capture_registers, @function
    .p2align 4
runnel_capture_registers:
    .cfi_startproc
    endbr64
    movq    %rbx, 0(%rdi)
    movq    %rbp, 8(%rdi)
    movq    %r12, 16(%rdi)
    movq    %r13, 24(%rdi)
    movq    %r14, 32(%rdi)
    movq    %r15, 40(%rdi)
    leaq    8(%rsp), %rax
    movq    %rax, 48(%rdi)
    movq    (%rsp), %rax
    movq    %rax, 56(%rdi)
    ret
    .cfi_endproc
    .size   runnel_capture_registers, .-runnel_capture_registers

// void runnel_begin_blocking()
// runnel_begin_blocking_at(registers of the caller, as they are when this has returned)
    .globl  runnel_begin_blocking
    .type   runnel_begin_blocking, @function
    .p2align 4
runnel_begin_blocking:
    .cfi_startproc
    endbr64
    subq    $72, %rsp
    .cfi_adjust_cfa_offset 72
    movq    %rbx, 0(%rsp)
    movq    %rbp, 8(%rsp)
    movq    %r12, 16(%rsp)
    movq    %r13, 24(%rsp)
    movq    %r14, 32(%rsp)
    movq    %r15, 40(%rsp)
    leaq    80(%rsp), %rax
    movq    %rax, 48(%rsp)
    movq    72(%rsp), %rax
    movq    %rax, 56(%rsp)
    movq    %rsp, %rdi
    callq   runnel_begin_blocking_at@PLT
    addq    $72, %rsp
    .cfi_adjust_cfa_offset -72
    ret
    .cfi_endproc
    .size   runnel_begin_blocking, .-runnel_begin_blocking

    .section .note.GNU-stack,"",@progbits

#endif
