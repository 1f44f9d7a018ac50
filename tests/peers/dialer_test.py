#!/usr/bin/env python3
"""The example dialer: dialer_test.py DIALER."""

import contextlib
import resource
import socket
import sys
import time
import unittest

import example
from example import run

DIALER = sys.argv[1]


class Dialer(unittest.TestCase):
    def listen(self, address="127.0.0.1", port=0, backlog=1000):
        listener = self.enterContext(contextlib.closing(socket.socket()))
        listener.bind((address, port))
        listener.listen(backlog)
        return listener.getsockname()[1]

    def silent_port(self):
        """Its queue is full: the kernel drops every further attempt to connect."""
        port = self.listen(backlog=0)
        self.enterContext(contextlib.closing(socket.create_connection(("127.0.0.1", port))))
        return port

    def test_prints_what_answers_in_the_order_asked_for(self):
        ports = [self.listen() for _ in range(40)]
        asked = [port for open in ports for port in (open, example.free_port())]
        got = run(DIALER, "127.0.0.1", ",".join(map(str, asked)))
        self.assertEqual(got.stdout, "".join(f"127.0.0.1:{port}\n" for port in ports))
        self.assertRegex(got.stderr, r"^40 of 80 answered, in \d+\.\d\d s\n40: Connection refused\n$")
        self.assertEqual(got.returncode, 0)

    def test_takes_ranges_of_ports_and_of_addresses(self):
        port = self.listen("127.0.0.2")
        self.listen("127.0.0.4", port)
        got = run(DIALER, "127.0.0.1-4", f"{port}-{port}")
        self.assertEqual(got.stdout, f"127.0.0.2:{port}\n127.0.0.4:{port}\n")
        got = run(DIALER, "localhost", f"{port - 300}-{port},{port}")
        self.assertRegex(got.stderr, rf"^\d+ of [36]0[24] answered")

    def test_gives_up_after_the_time_it_was_given(self):
        open, silent = self.listen(), self.silent_port()
        began = time.monotonic()
        got = run(DIALER, "127.0.0.1", f"{silent},{open}", 1, 200)
        self.assertGreaterEqual(time.monotonic() - began, 0.2)
        self.assertEqual(got.stdout, f"127.0.0.1:{open}\n")
        self.assertRegex(got.stderr, r"^1 of 2 answered, in \d+\.\d\d s\n1: Connection timed out\n$")

    def test_tries_as_many_at_a_time_as_it_was_told(self):
        silent = ",".join([str(self.silent_port())] * 10)
        began = time.monotonic()
        got = run(DIALER, "127.0.0.1", silent, 10, 400)
        self.assertLess(time.monotonic() - began, 3)
        self.assertIn("10: Connection timed out\n", got.stderr)
        self.assertEqual(got.returncode, 1)
        began = time.monotonic()
        run(DIALER, "127.0.0.1", silent, 5, 400)
        self.assertGreaterEqual(time.monotonic() - began, 0.8)

    def test_has_no_more_connections_than_attempts(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        ports = ",".join([str(self.listen())] * 500)
        got = run(DIALER, "127.0.0.1", ports, 16, preexec_fn=few)
        self.assertTrue(got.stderr.startswith("500 of 500 answered"), got.stderr)
        # The test of the test: more at a time than there may be.
        got = run(DIALER, "127.0.0.1", ",".join([str(self.silent_port())] * 64), 64, 100, preexec_fn=few)
        self.assertIn(": Too many open files\n", got.stderr)

    def test_says_what_is_wrong_with_its_arguments(self):
        for arguments, message in (
                ([], "want a host and its ports"),
                (["a", "1", "2", "3", "4"], "want a host and its ports"),
                (["a", ""], "want a host and its ports"),
                (["a", "1,"], "PORTS has numbers from 1 to 65535, not ''"),
                (["a", "0"], "PORTS has numbers from 1 to 65535, not '0'"),
                (["a", "1,65536"], "PORTS has numbers from 1 to 65535, not '65536'"),
                (["a", "9-8"], "PORTS has numbers from 9 to 65535, not '8'"),
                (["a", "http"], "PORTS has numbers from 1 to 65535, not 'http'"),
                (["10.0.0.1-256", "1"], "HOST has numbers from 1 to 255, not '256'"),
                (["a", "1", "0"], "JOBS has numbers from 1 to 10000, not '0'"),
                (["a", "1", "1", "x"], "MILLISECONDS has numbers from 1 to 600000, not 'x'")):
            got = run(DIALER, *arguments)
            self.assertEqual(got.returncode, 2, arguments)
            self.assertTrue(got.stderr.startswith(f"dialer: {message}\nUsage: "), got.stderr)
            self.assertEqual(got.stdout, "")
        got = run(DIALER, "--help")
        self.assertEqual((got.returncode, got.stdout[:14]), (0, "Usage: dialer "))

    def test_says_that_a_host_is_unknown(self):
        got = run(DIALER, "not a host", "1-100")
        self.assertEqual(got.returncode, 1)
        self.assertRegex(got.stderr, r"^dialer: lookup not a host.*: .+\n$")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
