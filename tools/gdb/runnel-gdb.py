"""gdb for programs that use Runnel.

    (gdb) source <prefix>/share/runnel/gdb/runnel-gdb.py

loads it: by hand, or, best, by that line in ~/.gdbinit; in a source tree the file is tools/gdb/runnel-gdb.py. It
may be loaded before the program. A shared Runnel that is installed under gdb's own prefix (mostly /usr) needs
nothing: gdb finds share/gdb/auto-load/…/librunnel.so.…-gdb.py, which loads this file.

A section .debug_gdb_scripts in the library was rejected: it would have to name the file by its absolute path, which
breaks when an installed tree is moved, and then every gdb session with the program begins with a warning.

What it brings: `info goroutines`, `goroutine N COMMAND`, `goroutine all COMMAND` (see `help goroutine`), and
printers for channels, locks, wait groups, contexts and timers. All of it only reads the program's memory, so that
it works on core files, too. gdb 12 or newer; the program and Runnel with debug information (-g), optimized or not.

Where things are: runnel_gdb/
  layout.py       the program's types: offsets, atomics, symbols
  goroutines.py   finds the goroutines
  unwinder.py     shows gdb the stack of one that does not run
  clock.py        what time it is, in a process or a core file
  corefile.py     writes core files with the stacks in them
  commands.py     the commands
  printing.py     what printers have in common
  waiters.py, channels.py, locks.py, contexts.py   the printers
"""

import os
import sys

import gdb


def load():
    major = int(gdb.VERSION.split(".")[0])
    if major < 12:
        raise gdb.GdbError(f"Runnel's commands need gdb 12 or newer; this is {gdb.VERSION}")
    # Not __file__: where another script has sourced this one, it is the other's.
    here = os.path.dirname(os.path.realpath(load.__code__.co_filename))
    sys.path.insert(0, here)
    writes_bytecode = not sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        # Loaded again, after a change: from the file.
        for name in [n for n in sys.modules if n.partition(".")[0] == "runnel_gdb"]:
            del sys.modules[name]
        from runnel_gdb import channels, commands, contexts, locks, printing, unwinder
    finally:
        sys.path.remove(here)
        sys.dont_write_bytecode = not writes_bytecode
    unwinder.register()
    commands.register()
    printing.register(channels, locks, contexts)


load()
