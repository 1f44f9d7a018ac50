#!/usr/bin/env python3
"""A server under systemd, as far as it can tell: systemd_test.py HTTPD."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

HTTPD = sys.argv[1]
PATIENCE = 30


# Becomes the program behind "--", as systemd's child does.
LAUNCHER = """
import os, sys
end = sys.argv.index("--")
for at, fd in enumerate(sys.argv[1:end]):
    os.dup2(int(fd), 3 + at)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.argv[end + 1], sys.argv[end + 1:])
"""


class Systemd(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.told.close)
        self.told.settimeout(PATIENCE)
        self.told.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify = str(Path(self.folder.name) / "notify")
        self.told.bind(self.notify)
        self.processes = []
        self.addCleanup(self.end)

    def end(self):
        for pid in self.processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def heard(self):
        """The next message, and who sent it."""
        text, more, _, _ = self.told.recvmsg(4096, 64)
        pid = int.from_bytes(more[0][2][:4], sys.byteorder)
        return text.decode(), pid

    def start(self, listening=(), address="127.0.0.1:0", names=None, **variables):
        """As systemd does it: the descriptors from 3 on, and the process's own number in its environment."""
        environment = {**os.environ, "NOTIFY_SOCKET": self.notify, **variables}
        if listening:
            environment["LISTEN_FDS"] = str(len(listening))
            if names:
                environment["LISTEN_FDNAMES"] = names
        # Out of the way of 3 and those that follow.
        high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for one in listening]
        log = open(Path(self.folder.name) / "log", "ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, *map(str, high), "--", HTTPD, address,
                 self.folder.name],
                env=environment, pass_fds=high, stdout=log, stderr=log)
        for fd in high:
            os.close(fd)
        self.processes.append(process.pid)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def log(self):
        return (Path(self.folder.name) / "log").read_text()

    def listening(self):
        on = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(on.close)
        return on

    def pid_at(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/pid", timeout=PATIENCE) as got:
            return int(got.read())

    def test_serves_on_the_socket_it_is_given(self):
        on = self.listening()
        port = on.getsockname()[1]
        # A client that was there before.
        early = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.addCleanup(early.close)
        early.sendall(b"GET /pid HTTP/1.0\r\n\r\n")
        process = self.start([on], address="not an address", names="http")
        self.assertEqual(self.heard(), ("READY=1", process.pid), self.log())
        self.assertTrue(early.recv(4096).endswith(str(process.pid).encode()))
        self.assertEqual(self.pid_at(port), process.pid)

    def test_leaves_alone_what_is_meant_for_another_process(self):
        on = self.listening()
        environment = {**os.environ, "NOTIFY_SOCKET": self.notify, "LISTEN_FDS": "1",
                       "LISTEN_PID": str(os.getpid())}
        process = subprocess.Popen([HTTPD, "127.0.0.1:0", self.folder.name], env=environment,
                                   pass_fds=[on.fileno()], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        port = int(process.stdout.readline().rstrip("/\n").rsplit(":", 1)[1])
        self.assertNotEqual(port, on.getsockname()[1])

    def test_says_what_is_wrong_with_what_it_is_given(self):
        for wrong in (socket.socket(), open("/dev/null")):
            with wrong:
                process = self.start([wrong])
                self.assertEqual(process.wait(PATIENCE), 1)
        self.assertRegex(self.log(), r"httpd: inherit descriptor 3: Invalid argument\n"
                                     r"httpd: inherit descriptor 3: Socket operation on non-socket\n")

    def test_tells_of_its_life(self):
        process = self.start(WATCHDOG_USEC="100000")
        self.assertEqual(self.heard(), ("READY=1", process.pid), self.log())
        began = time.monotonic()
        for _ in range(3):
            self.assertEqual(self.heard(), ("WATCHDOG=1", process.pid))
        self.assertGreater(time.monotonic() - began, 0.1)
        process.terminate()
        while (text := self.heard()[0]) == "WATCHDOG=1":
            pass
        self.assertEqual(text, "STOPPING=1")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_tells_who_goes_on(self):
        on = self.listening()
        port = on.getsockname()[1]
        process = self.start([on], WATCHDOG_USEC="3600000000")
        self.assertEqual(self.heard()[0], "READY=1")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        process.send_signal(signal.SIGHUP)
        text, pid = self.heard()
        self.assertEqual(pid, process.pid)
        found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", text)
        self.assertTrue(before <= int(found[1]) <= before + PATIENCE * 1_000_000)
        # The next one is ready, which systemd may or may not hear, and then it is the service.
        texts = [self.heard(), self.heard()]
        told = next(t for t, pid in texts if pid == process.pid)
        found = re.fullmatch(r"MAINPID=(\d+)\nREADY=1", told)
        self.processes.append(int(found[1]))
        self.assertIn(("READY=1", int(found[1])), texts)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(self.pid_at(port), int(found[1]))
        # It is watched in the place of the first.
        environment = Path(f"/proc/{found[1]}/environ").read_bytes().split(b"\0")
        self.assertIn(b"WATCHDOG_PID=" + found[1].encode(), environment)

    def test_tells_that_it_goes_on_itself(self):
        program = Path(self.folder.name) / "httpd"
        shutil.copy(HTTPD, program)
        process = subprocess.Popen(
            [program, "127.0.0.1:0", self.folder.name], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": self.notify})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(self.heard()[0], "READY=1")
        program.unlink()
        process.send_signal(signal.SIGHUP)
        self.assertTrue(self.heard()[0].startswith("RELOADING=1\n"))
        self.assertEqual(self.heard()[0], f"STATUS=restart failed: start {program}: "
                                          "No such file or directory")
        self.assertEqual(self.heard()[0], "READY=1")

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "no systemd-socket-activate")
    def test_is_started_by_systemd_socket_activate(self):
        with self.listening() as free:
            port = free.getsockname()[1]
        activate = subprocess.Popen(
            ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=http",
             HTTPD, "not an address", self.folder.name],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(activate.wait)
        self.addCleanup(activate.kill)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                # It has become the server.
                self.assertEqual(self.pid_at(port), activate.pid)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
