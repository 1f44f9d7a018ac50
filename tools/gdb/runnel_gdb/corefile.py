"""Core files with the stacks in them.

gdb's generate-core-file copies a mapping until it meets a page that it cannot read, and drops the rest (gdb 13
does). With light guards (docs/design.md, Stacks) an arena is one mapping whose first page is a guard, so that
nothing of it would be left. So the mappings that hold stacks are copied once more, around what cannot be read. A
core file that the kernel writes needs none of this.
"""

import struct

import gdb

from . import goroutines, layout

PT_LOAD = 1
MANY_HEADERS = 0xFFFF  # their number lies in the first section header
CHUNK = 1 << 20
PAGE = goroutines.PAGE


def write(path):
    gdb.execute(f"generate-core-file {path}", to_string=True)
    arenas = [(begin, end) for _, begin, end in goroutines.arenas(layout.runtime())]
    with open(path, "r+b") as file:
        for address, at, size in _segments(file):
            if any(address < end and begin < address + size for begin, end in arenas):
                for start in range(0, size, CHUNK):
                    _copy(file, address + start, at + start, min(CHUNK, size - start))


def _segments(file):
    """(address, place in the file, bytes) of the memory in an ELF file of a 64-bit little-endian machine."""
    head = file.read(64)
    headers, sections = struct.unpack_from("<QQ", head, 32)
    entry, count = struct.unpack_from("<HH", head, 54)
    if count == MANY_HEADERS:
        file.seek(sections + 44)
        count = struct.unpack("<I", file.read(4))[0]
    file.seek(headers)
    table = file.read(entry * count)
    for i in range(count):
        kind, _, place, address, _, size = struct.unpack_from("<IIQQQQ", table, i * entry)
        if kind == PT_LOAD:
            yield address, place, size


def _copy(file, address, at, size):
    """What can be read of it; pages of zeros stay holes in the file."""
    try:
        data = layout.read(address, size)
    except gdb.MemoryError:
        half = size // 2 // PAGE * PAGE
        if half > 0:
            _copy(file, address, at, half)
            _copy(file, address + half, at + half, size - half)
        return
    if data.count(0) == len(data):
        return
    for start in range(0, len(data), PAGE):
        page = data[start:start + PAGE]
        if page.count(0) != len(page):
            file.seek(at + start)
            file.write(page)
