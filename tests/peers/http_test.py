#!/usr/bin/env python3
"""HTTP with peers of others: http_test.py HTTPD CLIENT."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HTTPD, CLIENT = sys.argv[1:3]
HERE = Path(__file__).parent
GO = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin:/usr/lib/go/bin")
PATIENCE = 60


def run(*command, **options):
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, **options)


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.www = Path(cls.folder.name) / "www"
        cls.www.mkdir()
        (cls.www / "index.html").write_text("<p>index")
        (cls.www / "large.txt").write_text("x" * 100_000)
        cls.binary = os.urandom(3_000_000)
        (cls.www / "binary").write_bytes(cls.binary)
        cls.httpd = subprocess.Popen(
            [HTTPD, "127.0.0.1:0", cls.www], stdout=subprocess.PIPE, text=True)
        cls.url = cls.httpd.stdout.readline().strip().rstrip("/")
        cls.port = cls.url.rsplit(":", 1)[1]

    @classmethod
    def tearDownClass(cls):
        cls.httpd.kill()
        cls.httpd.wait()
        cls.httpd.stdout.close()
        cls.folder.cleanup()

    def go(self, name):
        if GO is None:
            self.skipTest("no go")
        program = Path(self.folder.name) / name
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOPROXY": "off"}
        environment.setdefault("GOCACHE", str(Path.cwd() / "go-cache"))  # in the build folder
        built = run(GO, "build", "-o", program, f"./{name}", cwd=HERE, env=environment)
        self.assertEqual(built.returncode, 0, built.stderr)
        return program

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl(self):
        got = run("curl", "-s", f"{self.url}/binary")
        self.assertEqual(got.stdout, self.binary)
        got = run("curl", "-s", "--http1.0", "-r", "5-9", f"{self.url}/binary")
        self.assertEqual(got.stdout, self.binary[5:10])
        # One connection for several; a compressed answer.
        got = run("curl", "-sv", "--compressed", f"{self.url}/", f"{self.url}/large.txt")
        self.assertEqual(got.stdout, b"<p>index" + b"x" * 100_000)
        self.assertIn(b"Re-using existing connection", got.stderr)
        # In chunks, and with Expect: 100-continue.
        for arguments in (["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
            got = run("curl", "-sv", *arguments, "--data-binary", "@-", f"{self.url}/api/notes",
                      input=b"n" * 200_000)
            self.assertIn(b"< HTTP/1.1 201 Created", got.stderr)
        self.assertIn(b"< HTTP/1.1 100 Continue", got.stderr)
        # Over the limit: told so while it sends.
        got = run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-T", "-",
                  f"{self.url}/api/notes", input=bytes(40 << 20))
        self.assertEqual(got.stdout, b"413")
        got = run("curl", "-sI", f"{self.url}/large.txt")
        self.assertIn(b"Content-Length: 100000\r\n", got.stdout)

    @unittest.skipUnless(shutil.which("nc"), "no nc")
    def test_nc_cannot_smuggle(self):
        hidden = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        post = b"POST /api/notes HTTP/1.1\r\nHost: x\r\n"
        for text in (
            post + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
            post + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
            post + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            post + b"A: b\r\n Content-Length: 3\r\n\r\nabc",
            post + b"A: b\nContent-Length: 3\r\n\r\nabc",
            post + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
            post + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        ):
            got = run("nc", "127.0.0.1", self.port, input=text + hidden)
            self.assertRegex(got.stdout, rb"^HTTP/1\.1 (400|501) ", text)
            self.assertNotIn(b"goroutines", got.stdout, text)

    def test_go_client(self):
        got = run(self.go("goclient"), self.url)
        self.assertEqual(got.returncode, 0, got.stdout)

    def test_go_server(self):
        server = subprocess.Popen([self.go("goserver")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().strip()
            got = run(CLIENT, f"http://{address}")
            self.assertEqual(got.returncode, 0, got.stdout)
        finally:
            server.communicate(timeout=PATIENCE)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
