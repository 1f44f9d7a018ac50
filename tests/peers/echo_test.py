#!/usr/bin/env python3
"""The example echo: echo_test.py ECHO."""

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import unittest

import example
from example import PATIENCE, Peer, Server, run

ECHO = sys.argv[1]


class Echo(example.Usage, unittest.TestCase):
    PROGRAM = ECHO

    def setUp(self):
        self.server = self.enterContext(Server(ECHO, "127.0.0.1:0"))

    @unittest.skipUnless(shutil.which("nc"), "no nc")
    def test_answers_nc(self):
        got = run("nc", "-N", "127.0.0.1", self.server.port, input="one\ntwo\nno line end")
        self.assertEqual(got.stdout, "one\ntwo\nno line end")

    def test_sends_back_more_than_fits_any_buffer(self):
        sent = os.urandom(20_000_000)
        with self.server.connect() as client:
            def send():
                client.send(sent)
                client.close_write()
            sender = threading.Thread(target=send)
            sender.start()
            self.assertEqual(client.rest(), sent)
            sender.join()

    def test_serves_many_at_a_time(self):
        clients = [self.server.connect() for _ in range(200)]
        for number, client in enumerate(clients):
            client.send(str(number).encode())
        for number, client in reversed(list(enumerate(clients))):
            client.send(b" and more")
            client.close_write()
            self.assertEqual(client.rest(), f"{number} and more".encode())
            client.close()

    def test_goes_on_when_clients_crash(self):
        with self.server.connect() as other:
            for _ in range(20):
                client = self.server.connect()
                client.send(b"x" * 100_000)  # and takes nothing
                client.reset()
            other.send(b"still there")
            other.close_write()
            self.assertEqual(other.rest(), b"still there")

    def test_serves_who_is_connected_after_it_was_interrupted(self):
        with self.server.connect() as client:
            client.send(b"before")
            client.until(b"before")
            self.server.process.send_signal(signal.SIGINT)
            self.server.wait_until_it_does_not_listen()
            client.send(b" and after")
            client.close_write()
            self.assertEqual(client.rest(), b" and after")
        self.assertEqual(self.server.process.wait(PATIENCE), 0)

    def test_ends_at_once_when_interrupted_twice(self):
        with self.server.connect():
            self.server.process.send_signal(signal.SIGINT)
            self.server.wait_until_it_does_not_listen()
            self.server.process.send_signal(signal.SIGINT)
            self.assertEqual(self.server.process.wait(PATIENCE), -signal.SIGINT)

    def test_serves_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder, Server(ECHO, f"{folder}/socket") as server:
            self.assertEqual(server.address, f"{folder}/socket")
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(server.address)
            with Peer(connection) as client:
                client.send(b"by path")
                client.close_write()
                self.assertEqual(client.rest(), b"by path")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
