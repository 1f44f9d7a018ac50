"""The printer of contexts, and what is said of the exception that is the cause."""

import gdb

from . import clock, layout
from .printing import Printer, shown

NO_DEADLINE = 2**63 - 1

# The C++ ABI's record in front of a thrown object begins with its type, on both machines so many bytes before it.
EXCEPTION_HEADER = 112


class Context(Printer):
    """context(background), context(active, deadline in 2s), context(cancelled: std::runtime_error "out of tea")"""

    def describe(self, value):
        node = value["node_"]
        if int(node) == 0:
            return "context(background)"
        scope = node["scope_"]
        if int(scope) == 0:
            return "context(never cancelled)"
        scope = scope.cast(gdb.lookup_type("runnel::detail::cancel_node").pointer()).dereference()
        error = int(layout.load(scope["err_"]))
        deadline = int(scope["deadline_"])
        if error != 0:
            names = layout.enum_names("runnel::context_errc")
            state = "deadline exceeded" if names.get(error) == "deadline_exceeded" else "cancelled"
            cause = describe_exception(scope["cause_"])
            return shown("context", [f"{state}: {cause}" if cause else state])
        return shown("context", ["active", deadline != NO_DEADLINE and
                                 clock.until(deadline, "deadline", "deadline ahead")])


def describe_exception(pointer):
    """Type and what() of the object of a std::exception_ptr, as far as memory tells; "" for none."""
    thrown = layout.number(layout.read(int(pointer.address), layout.POINTER_BYTES), 0)
    if thrown == 0:
        return ""
    info = word(thrown - EXCEPTION_HEADER)
    name = type_of(info)
    text = f' "{c_string(word(thrown + 8))}"' if has_message(info) else ""
    return name + text


def word(address):
    return layout.number(layout.read(address, layout.POINTER_BYTES), 0)


def c_string(address):
    return gdb.Value(address).cast(char_pointer()).string(errors="replace")


def char_pointer():
    return gdb.lookup_type("char").pointer()


def type_of(info):
    symbol = layout.symbol_at(info) or ""
    return symbol.removeprefix("typeinfo for ") or "an exception"


def has_message(info):
    """Whether the type derives from std::runtime_error or std::logic_error, by single inheritance: these begin with
    a table pointer and the message."""
    for _ in range(20):
        if type_of(info) in ("std::runtime_error", "std::logic_error"):
            return True
        table = layout.symbol_at(word(info)) or ""
        if "__si_class_type_info" not in table:
            return False
        info = word(info + 16)
    return False


PRINTERS = {"context": Context}
