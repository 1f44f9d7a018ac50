// The type_info of throw_witness: an object of witness_type, made by the linker so that it is there before anything runs,
// and in assembly because compilers know the name for one of theirs.

    .section .rodata
.Lname:
    .asciz  "N6runnel6detail13throw_witnessE"

    .section .data.rel.ro, "aw"
    .balign 8
    .globl  _ZTIN6runnel6detail13throw_witnessE
    .type   _ZTIN6runnel6detail13throw_witnessE, %object
    .size   _ZTIN6runnel6detail13throw_witnessE, 16
_ZTIN6runnel6detail13throw_witnessE:
    .quad   _ZTVN6runnel6detail12witness_typeE + 16
    .quad   .Lname

    .section .note.GNU-stack, "", %progbits
