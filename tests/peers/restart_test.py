#!/usr/bin/env python3
"""A server that is replaced while clients use it: restart_test.py HTTPD.

Every request that fails is counted, whoever's fault it may be; none may. The clients are strict: an end of the connection where an
answer should be is a failure, also on a connection that was kept from an earlier request.
"""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HTTPD = sys.argv[1]
PATIENCE = 30
PR_SET_CHILD_SUBREAPER = 36


def eventually(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what() if callable(what) else what}")
        time.sleep(0.005)


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def request(self, method="GET", path="/pid", body=b"", close=False):
        """The body of the answer, and whether the server closes the connection."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        if close:
            head += "Connection: close\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + body)
        while b"\r\n\r\n" not in self.unread:
            self.more()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        if not re.match(rb"HTTP/1.1 20[01] ", head):
            raise OSError(f"refused: {head}")
        length = int(re.search(rb"\r\nContent-Length: (\d+)", head)[1])
        while len(self.unread) < length:
            self.more()
        body, self.unread = self.unread[:length], self.unread[length:]
        return body, b"\r\nConnection: close" in head

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise OSError("the end instead of an answer")
        self.unread += piece

    def close(self):
        self.socket.close()


class Load:
    """Clients of all kinds, until stop()."""

    def __init__(self, port):
        self.port = port
        self.over = False
        self.failed = []
        self.answered = 0
        self.lock = threading.Lock()
        kinds = 6 * [self.keep] + 3 * [self.come_and_go] + 2 * [self.pause] + [self.upload]
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def run(self, kind):
        while not self.over:
            try:
                kind()
            except OSError as error:
                self.failed.append(f"{kind.__name__}: {error!r}")

    def note(self):
        with self.lock:
            self.answered += 1

    def keep(self, longest_pause=0.003, **request):
        """Request after request on a connection, for as long as the server keeps it."""
        connection = Connection(self.port)
        try:
            while not self.over:
                _, closed = connection.request(**request)
                self.note()
                if closed:
                    break
                time.sleep(random.uniform(0, longest_pause))
        finally:
            connection.close()

    def pause(self):
        self.keep(longest_pause=0.5)

    def upload(self):
        self.keep(method="POST", path="/api/notes", body=b"n" * 300_000)

    def come_and_go(self):
        connection = Connection(self.port)
        try:
            connection.request(close=True)
            self.note()
        finally:
            connection.close()

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()


class Restart(unittest.TestCase):
    def setUp(self):
        # Successors become this process's children when their predecessors end.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.program = Path(self.folder.name) / "httpd"
        shutil.copy(HTTPD, self.program)
        self.log_file = Path(self.folder.name) / "log"
        with open(self.log_file, "ab") as log:
            httpd = subprocess.Popen([self.program, "127.0.0.1:0", self.folder.name],
                                     stdout=subprocess.PIPE, stderr=log)
        self.addCleanup(httpd.stdout.close)  # successors say where they serve, too
        self.port = int(httpd.stdout.readline().rstrip(b"/\n").rsplit(b":", 1)[1])
        self.pid = httpd.pid
        self.httpd = httpd
        self.addCleanup(self.end)

    def end(self):
        if self.pid is None:
            return
        os.kill(self.pid, signal.SIGKILL)
        self.reaped(self.pid)

    def reaped(self, pid):
        """The exit status."""
        status = []

        def ended():
            if pid == self.httpd.pid:
                status.append(self.httpd.poll())
            else:
                done, code = os.waitpid(pid, os.WNOHANG)
                status.append(os.waitstatus_to_exitcode(code) if done else None)
            return status[-1] is not None

        eventually(ended, f"{pid} ended")
        return status[-1]

    def serving(self):
        connection = Connection(self.port)
        try:
            return int(connection.request(close=True)[0])
        finally:
            connection.close()

    def log(self):
        return self.log_file.read_text()

    def replace(self):
        before = self.pid
        os.kill(before, signal.SIGHUP)
        went_on = re.compile(rf"httpd: {before} goes on as (\d+)\n")
        eventually(lambda: went_on.search(self.log()), lambda: f"replaced: {self.log()}")
        self.pid = int(went_on.search(self.log())[1])
        self.assertEqual(self.reaped(before), 0, self.log())
        self.assertEqual(self.serving(), self.pid)

    def install(self, text, mode=0o755):
        """Another program in the place of this one, as an installer would put it there."""
        new = self.program.with_suffix(".new")
        new.write_bytes(text)
        new.chmod(mode)
        new.rename(self.program)

    def assert_goes_on(self, why):
        before = self.log().count("goes on: ")
        os.kill(self.pid, signal.SIGHUP)
        eventually(lambda: self.log().count("goes on: ") > before, why)
        self.assertRegex(self.log().splitlines()[-1],
                         rf"^httpd: {self.pid} goes on: start {self.program}{why}$")
        self.assertEqual(self.serving(), self.pid)

    def test_no_request_fails(self):
        good = self.program.read_bytes()
        load = Load(self.port)
        wrk = None
        if shutil.which("wrk"):
            wrk = subprocess.Popen(
                ["wrk", "-t1", "-c20", "-d8s", f"http://127.0.0.1:{self.port}/pid"],
                stdout=subprocess.PIPE, text=True)
        try:
            pids = {self.pid}
            for _ in range(3):
                self.replace()
                pids.add(self.pid)
            self.install(b"#!/bin/sh\nexit 3\n")
            self.assert_goes_on(r" \(exit status 3\): ended before it was ready")
            self.install(b"#!/bin/sh\nkill -9 $$\n")
            self.assert_goes_on(r" \(signal 9\): ended before it was ready")
            self.install(b"not a program")
            self.assert_goes_on(": Exec format error")
            self.install(good, mode=0o644)
            self.assert_goes_on(": Permission denied")
            self.program.unlink()
            self.assert_goes_on(": No such file or directory")
            self.install(good)
            for _ in range(3):
                self.replace()
                pids.add(self.pid)
            self.assertEqual(len(pids), 7)
        finally:
            load.stop()
            report = wrk.communicate(timeout=60)[0] if wrk else ""
        self.assertEqual(load.failed, [])
        self.assertGreater(load.answered, 500)
        self.assertNotIn("Socket errors", report)
        self.assertNotIn("Non-2xx", report)

    def test_two_wishes_at_once_are_one(self):
        before = self.pid
        for _ in range(5):
            os.kill(before, signal.SIGHUP)
        went_on = re.compile(rf"httpd: {before} goes on as (\d+)\n")
        eventually(lambda: went_on.search(self.log()), lambda: f"replaced: {self.log()}")
        self.pid = int(went_on.search(self.log())[1])
        self.assertEqual(self.reaped(before), 0)
        self.assertEqual(self.serving(), self.pid)

    def test_terminated_it_finishes_what_has_begun(self):
        for wish in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(wish.name):
                if wish == signal.SIGINT:
                    self.setUp()
                begun = Connection(self.port)
                begun.socket.sendall(b"POST /api/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
                idle = Connection(self.port)
                idle.request()
                os.kill(self.pid, wish)

                def refused():
                    try:
                        Connection(self.port).close()
                    except ConnectionRefusedError:
                        return True
                    except ConnectionResetError:
                        pass  # closed while this one was in the backlog
                    return False

                eventually(refused, "no more connections")
                # A request on a connection that was open is answered, once.
                self.assertEqual(idle.request(), (str(self.pid).encode(), True))
                idle.close()
                begun.socket.sendall(b"bc")
                answer = b""
                while piece := begun.socket.recv(4096):
                    answer += piece
                self.assertRegex(answer, rb"^HTTP/1.1 201 ")
                begun.close()
                self.assertEqual(self.reaped(self.pid), 0)
                self.pid = None


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
