#!/usr/bin/env python3
"""HTTP/2, over TLS and by prior knowledge, with peers of others: http2_test.py SERVER CLIENT."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SERVER, CLIENT = sys.argv[1:3]
HERE = Path(__file__).parent
GO = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin:/usr/lib/go/bin")
PATIENCE = 60
BUILD_PATIENCE = 300


def run(*command, timeout=PATIENCE, **options):
    return subprocess.run(command, capture_output=True, timeout=timeout, **options)


class Http2(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        here = Path(cls.folder.name)
        www = here / "www"
        www.mkdir()
        (www / "index.html").write_text("<p>index")
        (www / "large.txt").write_text("x" * 100_000)
        cls.binary = os.urandom(3_000_000)
        (www / "binary").write_bytes(cls.binary)
        cls.certify(here)
        cls.certificate, cls.key = str(here / "server.pem"), str(here / "server.key")
        cls.roots = str(here / "root.pem")
        cls.running = []
        cls.http = cls.serve(SERVER, "127.0.0.1:0", www)
        cls.https = cls.serve(SERVER, "127.0.0.1:0", www, cls.certificate, cls.key)

    @classmethod
    def certify(cls, here):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=here, check=True, capture_output=True)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-days", "30", "-subj", "/CN=root", "-addext",
                "basicConstraints=critical,CA:TRUE", "-keyout", "root.key", "-out", "root.pem")
        (here / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "root.pem", "-CAkey", "root.key",
                "-CAcreateserial", "-extfile", "names", "-days", "30", "-out", "server.pem")

    @classmethod
    def serve(cls, *command):
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.running.append(started)
        return started.stdout.readline().strip().rstrip("/")

    @classmethod
    def tearDownClass(cls):
        for one in cls.running:
            one.kill()
            one.communicate()
        cls.folder.cleanup()

    def go(self, name):
        if GO is None:
            self.skipTest("no go")
        program = Path(self.folder.name) / name
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOPROXY": "off"}
        environment.setdefault("GOCACHE", str(Path.cwd() / "go-cache"))  # in the build folder
        built = run(GO, "build", "-o", program, f"./{name}", cwd=HERE, env=environment,
                    timeout=BUILD_PATIENCE)
        self.assertEqual(built.returncode, 0, built.stderr)
        return program

    def ways(self):
        return (("--http2-prior-knowledge", self.http), ("--http2", self.https))

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl(self):
        for version, url in self.ways():
            def curl(*arguments, **options):
                return run("curl", "-s", version, "--cacert", self.roots, *arguments, **options)
            self.assertEqual(curl(f"{url}/hello").stdout, b"HTTP/2.0")
            self.assertEqual(curl(f"{url}/binary").stdout, self.binary)
            self.assertEqual(curl("-r", "5-9", f"{url}/binary").stdout, self.binary[5:10])
            got = curl("-v", "--compressed", f"{url}/large.txt")
            self.assertEqual(got.stdout, b"x" * 100_000)
            self.assertIn(b"content-encoding: gzip", got.stderr)
            got = curl("-I", f"{url}/large.txt")
            self.assertIn(b"HTTP/2 200", got.stdout)
            self.assertIn(b"content-length: 100000\r\n", got.stdout)
            # A body that is read while it comes, and one that waits to be asked for.
            got = curl("-v", "-T", "-", "-X", "POST", f"{url}/echo", input=self.binary)
            self.assertEqual(got.stdout, self.binary)
            self.assertIn(b"x-bytes: 3000000", got.stderr)
            got = curl("-v", "-H", "Expect: 100-continue", "--data-binary", "@-", f"{url}/echo",
                       input=self.binary)
            self.assertEqual(got.stdout, self.binary)
            self.assertIn(b"HTTP/2 100", got.stderr)
            # Over the limit: told so while it sends.
            got = curl("-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-T", "-",
                       f"{url}/api/notes", input=bytes(40 << 20))
            self.assertEqual(got.stdout, b"413")

    # Only over TLS: curl 7.88 cannot use a connection again that began by prior knowledge.
    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl_uses_a_connection_again(self):
        got = run("curl", "-sv", "--http2", "--cacert", self.roots, f"{self.https}/hello",
                  f"{self.https}/large.txt")
        self.assertEqual(got.stdout, b"HTTP/2.0" + b"x" * 100_000)
        self.assertIn(b"Re-using existing connection", got.stderr)

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl_without_http2(self):
        got = run("curl", "-s", "--http1.1", "--cacert", self.roots, f"{self.https}/hello")
        self.assertEqual(got.stdout, b"HTTP/1.1")
        got = run("curl", "-s", "--http2", f"{self.http}/hello")  # Upgrade: h2c is not followed
        self.assertEqual(got.stdout, b"HTTP/1.1")

    @unittest.skipUnless(shutil.which("h2load"), "no h2load")
    def test_h2load(self):
        for _, url in self.ways():
            for path, count in (("/hello", 4000), ("/large.txt", 2000)):
                got = run("h2load", "-n", str(count), "-c", "10", "-m", "20", url + path, text=True)
                self.assertIn(f"{count} succeeded, 0 failed, 0 errored, 0 timeout", got.stdout)
                self.assertIn(f"{count} 2xx", got.stdout)
            post = Path(self.folder.name) / "post"
            post.write_bytes(b"n" * 100_000)
            got = run("h2load", "-n", "500", "-c", "5", "-m", "10", "-d", post, url + "/echo",
                      text=True)
            self.assertIn("500 succeeded, 0 failed, 0 errored, 0 timeout", got.stdout)

    def test_go_client(self):
        got = run(self.go("goclient"), self.https, self.roots)
        self.assertEqual(got.returncode, 0, got.stdout)

    def test_go_server(self):
        address = self.serve(self.go("goserver"), self.certificate, self.key)
        got = run(CLIENT, f"https://{address}", self.roots)
        self.assertEqual(got.returncode, 0, got.stdout)
        # Whom it does not know, it tells nothing.
        got = run(CLIENT, "get", f"https://{address}/hello", self.certificate)
        self.assertEqual(got.returncode, 1)
        self.assertRegex(got.stdout, rb"error: dial .*tls: ")

    def test_openssl_server(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", self.certificate,
             "-key", self.key, "-www", "-alpn", "http/1.1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.running.append(server)
        while "ACCEPT" not in server.stdout.readline():
            self.assertIsNone(server.poll())
        got = run(CLIENT, "get", f"https://localhost:{port}/", self.roots)
        self.assertEqual(got.returncode, 0, got.stdout)
        self.assertRegex(got.stdout, rb"^200 (?s:.*)Protocol  : TLSv1\.3")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
