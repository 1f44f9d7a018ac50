#!/usr/bin/env python3
"""A program beside a library that blocks: blocking_test.py postgres|redis|http PROGRAM SERVER [EXAMPLE].

Runs the program against the server, and then the example that shows the library, as a user would."""

import subprocess
import sys

import servers

KIND, PROGRAM, SERVER, *EXAMPLE = sys.argv[1:]

# What the examples print, at the end of a line or before what differs from run to run.
EXAMPLES = {
    "postgres": (lambda where: [where], ["the sum is 999000, 0 failed", "20 connections"]),
    "redis": (lambda where: [where], ["1000 results, their sum is 999000"]),
    "http": (lambda where: [f"{where}slow/{n}" for n in range(100)],
             [f"slow/{n}: 200, {len(str(n))} bytes" for n in range(100)]),
}


def run(command):
    done = subprocess.run([*servers.MORTAL, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with status {done.returncode}")
    return done.stdout


with getattr(servers, KIND)(SERVER) as where:
    run([PROGRAM, where, "20"])
    for example in EXAMPLE:
        arguments, expected = EXAMPLES[KIND]
        shown = run([example, *arguments(where)])
        for text in expected:
            if text not in shown:
                sys.exit(f"not printed: {text}")
