"""What the numbers were measured on. Names no host and no folder."""

import os
import platform
import re
from pathlib import Path


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cores() -> int:
    return len(os.sched_getaffinity(0))


def memory_gib() -> int:
    found = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return round(int(found[1]) / 2**20) if found else 0


def kernel() -> str:
    """Major and minor only: the rest is the builder's."""
    return ".".join(platform.release().split(".")[:2])


def distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")


def virtual() -> bool:
    return " hypervisor " in Path("/proc/cpuinfo").read_text().replace("\n", " ")


def load() -> float:
    return os.getloadavg()[0]
