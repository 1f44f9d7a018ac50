#!/usr/bin/env python3
"""idle_load PORT PID CONNECTIONS SECONDS: what idle connections cost a server of HTTP.

Loads the server (bench_http_load), then opens that many connections, makes a request on each and leaves it open, and loads the
server once more. Prints the metrics of the case http_idle; the server's process is PID."""

import socket
import subprocess
import sys
from pathlib import Path


def memory_bytes(pid: str) -> int:
    """Resident memory and page tables."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE")) * 1024


def load(port: int, seconds: str) -> float:
    command = [Path(__file__).resolve().parent / "bench_http_load", str(port), "100", seconds]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def idle(port: int, count: int) -> list[socket.socket]:
    connections = []
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", port))
        c.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connections.append(c)
    for c in connections:
        answer = b""
        while not answer.endswith(b"Hello, World!"):
            part = c.recv(4096)
            if not part:
                sys.exit("idle_load: the server has closed an idle connection")
            answer += part
    return connections


def main() -> None:
    port, pid, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    alone = load(port, seconds)
    before = memory_bytes(pid)
    connections = idle(port, count)
    each = (memory_bytes(pid) - before) / count
    beside = load(port, seconds)
    for c in connections:  # none of them was lost
        c.setblocking(False)
        try:
            c.recv(1)
            sys.exit("idle_load: the server has ended an idle connection")
        except BlockingIOError:
            pass
    print(f"bytes_each={each:.6g} ns_beside={beside:.6g} ns_alone={alone:.6g}")


main()
