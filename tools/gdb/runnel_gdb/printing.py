"""How printers are registered, and what they have in common."""

import re

import gdb
import gdb.printing


def shown(name, facts):
    """As "mutex(locked, 2 waiting)"."""
    return f"{name}({', '.join(str(f) for f in facts if f)})"


STRING = re.compile(r"std::(__cxx11::)?basic_string<char, std::char_traits<char>, std::allocator<char> ?>")


def type_name(value):
    """The type without Runnel's name space, and strings by their common name."""
    type_ = value.type.strip_typedefs()
    if type_.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
        type_ = type_.target().strip_typedefs()
    name = str(type_.unqualified()).removeprefix("runnel::")
    return STRING.sub("std::string", name).replace("string >", "string>")


class Printer:
    """A printer whose text is what `describe(value)` returns; damaged memory is shown as such."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        try:
            return self.describe(self.value)
        except Exception as e:  # whatever lies in memory that is not what it should be
            lost = "optimized out" in str(e)
            return shown(type_name(self.value), ["optimized out" if lost else f"unreadable: {e}"])


def register(*modules):
    collection = gdb.printing.RegexpCollectionPrettyPrinter("runnel")
    for module in modules:
        for name, printer in module.PRINTERS.items():
            collection.add_printer(name, f"^runnel::{name}$", printer)
    gdb.printing.register_pretty_printer(None, collection, replace=True)
