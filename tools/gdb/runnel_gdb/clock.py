"""What time it is for the program: its monotonic clock, in nanoseconds.

A process on this machine shares our clock. Of a core file, or a process elsewhere, the best that is known is what
sysmon last read of the clock, which may be some time ago if all was quiet; not even that if the program was young.
"""

import time

import gdb

from . import layout


def connection_type():
    """How gdb sees the program: "native", "core", "remote", …"""
    connection = gdb.selected_inferior().connection
    return connection.type if connection is not None else None


def now(rt=None):
    """Nanoseconds; 0: not known."""
    if connection_type() == "native":
        return time.monotonic_ns()
    rt = rt if rt is not None else layout.runtime()
    ps = layout.elements(rt["all_p"])
    newest = int(layout.load(rt["seconds"])) * 10**9
    for i in range(int(layout.load(rt["p_made"]))):
        p = layout.load(ps[i])
        if int(p) != 0:
            newest = max(newest, int(p["seen_at"]), int(p["asked_kernel_at"]))
    return newest


def span(nanoseconds):
    """As "1.5s"."""
    ns = abs(nanoseconds)
    for unit, size in ("h", 3600 * 10**9), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6):
        if ns >= size:
            return f"{nanoseconds / size:.3g}{unit}"
    return f"{nanoseconds / 1000:.3g}us"


def until(deadline, before, unknown):
    """As `before` and "in 1.5s", or "due"; `unknown` if the time is not known."""
    at = now()
    if at == 0:
        return unknown
    return f"{before} in {span(deadline - at)}" if deadline > at else "due"
