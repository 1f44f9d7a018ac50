"""The program's types: symbols, offsets, atomics.

Nothing here depends on the language of the selected frame, nor on the standard library's names: an atomic, an array
and what is atomic of a pointer all begin with what they hold.
"""

import os
import re

import gdb

SYSTEM_LIBRARY = re.compile(r"/(libc|libpthread|libm|libstdc\+\+|libc\+\+|libgcc_s|ld-linux[^/]*)[.-][^/]*$")
# As GCC names them, and as Clang does. _FUN is a lambda as a pointer.
LAMBDA = re.compile(r"^(operator\(\)|<lambda|_FUN)|(\$_\d+|\{lambda\(.*\)#\d+\})::operator\(\)\(.*\)( const)?$")
# Not every name can be demangled by every gdb.
RUNTIME = re.compile(r"^(runnel::|runnel_|std::|__gnu_cxx::|_Z+N?K?(6runnel|St))")
OURS = re.compile(r"(^|/)include/(runnel|c\+\+)/")

POINTER_BYTES = 8  # Runnel runs on 64-bit machines


def runtime_symbol():
    name = "runnel::sched::the_runtime"
    return gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)


def runtime():
    """The runtime object. Raises GdbError if the program has none."""
    symbol = runtime_symbol()
    if symbol is None:
        raise gdb.GdbError("The program does not use Runnel, or Runnel has no debug information.")
    if not gdb.selected_inferior().threads():
        raise gdb.GdbError("The program is not running.")
    return symbol.value()["value"]


def complete(type_):
    """The type without typedefs; its definition, if it is only declared where we found it."""
    type_ = type_.strip_typedefs().unqualified()
    if type_.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) and not type_.fields():
        try:
            return gdb.lookup_type(type_.name).strip_typedefs()
        except gdb.error:
            pass
    return type_


def _find(type_, name):
    for field in complete(type_).fields():
        if not hasattr(field, "bitpos"):
            continue  # static
        at = field.bitpos // 8
        if field.name == name:
            return at, field.type
        if field.is_base_class or not field.name:
            found = _find(field.type, name)
            if found is not None:
                return at + found[0], found[1]
    return None


def field(type_, path):
    """(offset, type) of a member, of bases and of members of members: "context.sp"; None if there is none."""
    offset = 0
    for name in path.split("."):
        found = _find(type_, name)
        if found is None:
            return None
        offset += found[0]
        type_ = found[1]
    return offset, type_


def offset(type_, path):
    return field(type_, path)[0]


def load(atomic):
    """What an atomic holds."""
    held = complete(atomic.type).template_argument(0)
    return atomic.address.cast(held.pointer()).dereference()


def elements(array, type_=None):
    """A pointer to the first element of a std::array."""
    type_ = type_ or complete(array.type).template_argument(0)
    return array.address.cast(type_.pointer())


def read(address, size):
    """The bytes there. Raises gdb.MemoryError."""
    return bytes(gdb.selected_inferior().read_memory(address, size))


def number(data, at, size=POINTER_BYTES):
    return int.from_bytes(data[at:at + size], "little")


def enum_names(name):
    """{value: enumerator without its scope} of an enumeration."""
    return {f.enumval: f.name.rpartition("::")[2] for f in gdb.lookup_type(name).fields()}


def enumerators(name):
    """{enumerator without its scope: value}"""
    return {enumerator: value for value, enumerator in enum_names(name).items()}


def program_place(pc):
    """(function, file, line) of the program's own code at a return address, out of what is inlined there."""
    sal = gdb.find_pc_line(pc - 1)
    if sal.symtab is None:
        return without_parameters(symbol_at(pc - 1)), None, 0
    symtab, line = sal.symtab, sal.line
    first = None
    block = gdb.block_for_pc(pc - 1)
    while block is not None and not block.is_global:
        function = block.function
        if function is not None:
            here = (without_parameters(function.print_name), symtab.filename, line)
            if not is_runtime(function.print_name, symtab):
                return here
            first = first or here
            # gdb says of an inlined function where it is called.
            symtab, line = function.symtab, function.line
        block = block.superblock
    return first or (without_parameters(symbol_at(pc - 1)), sal.symtab.filename, sal.line)


def without_parameters(name):
    """"serve" of "serve(int)"; a lambda, which has no name, is called that."""
    if name is None:
        return "?"
    if LAMBDA.search(name):
        return "lambda"
    depth = 0
    for i, c in enumerate(name):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0 and not name.startswith("(anonymous namespace)", i):
            return name[:i]
    return name


def symbol_at(address):
    """The name of the symbol that holds the address, without offset and section; None if there is none."""
    text = gdb.execute(f"info symbol {int(address):#x}", to_string=True)
    if text.startswith("No symbol"):
        return None
    text = text.partition(" in section ")[0].partition("@")[0]
    name, plus, tail = text.rpartition(" + ")
    return name if plus and tail.strip().isdigit() else text


def is_runtime(name, symtab=None, library=None):
    """Whether a function is Runnel's, the C library's, or what the standard library puts between these and the
    program. A lambda has no name of its own: where it is written says whose it is."""
    if name is None or RUNTIME.search(name):
        return True
    if library is not None and SYSTEM_LIBRARY.search(library):
        return True
    if symtab is None or not LAMBDA.search(name):
        return False
    file = os.path.realpath(symtab.fullname())
    return bool(OURS.search(file)) or file.startswith(source_folder())


def source_folder():
    """Where Runnel's sources lay when it was compiled: src/, as src/sched/runtime.cpp tells."""
    symbol = runtime_symbol()
    if symbol is None:
        return os.devnull
    file = os.path.realpath(symbol.symtab.fullname())
    return os.path.dirname(os.path.dirname(file)) + os.sep
