#!/usr/bin/env python3
"""The example reverse_proxy: reverse_proxy_test.py REVERSE_PROXY HTTPD."""

import http.client
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import example
from example import Backend, Server, run

PROXY, HTTPD = sys.argv[1:3]
PATIENCE = example.PATIENCE


class ReverseProxy(example.Usage, unittest.TestCase):
    PROGRAM = PROXY
    WITH = ("127.0.0.1:1",)

    def backend(self, answer, **where):
        return self.enterContext(Backend(answer, **where))

    def proxy(self, *backends):
        addresses = [b if isinstance(b, str) else b.address for b in backends]
        return self.enterContext(Server(PROXY, "127.0.0.1:0", *addresses))

    def ask(self, proxy, method="GET", path="/", **request):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)
        self.addCleanup(connection.close)
        connection.request(method, path, **request)
        return connection.getresponse()

    def test_backends_take_turns(self):
        names = [b"one", b"two", b"three"]
        proxy = self.proxy(*(self.backend(lambda to, name=name: to.send(200, name)) for name in names))
        self.assertEqual([self.ask(proxy).read() for _ in range(6)], names * 2)

    def test_fields_of_one_connection_stay_there(self):
        asked = queue.Queue()
        def answer(to):
            asked.put((to.command, to.path, to.headers.items()))
            to.send(404, b"not here", [("Connection", "X-Mine"), ("X-Mine", "1"), ("Content-Type", "a/b"),
                                       ("Proxy-Authenticate", "Basic"), ("Set-Cookie", "a"),
                                       ("Set-Cookie", "b")])
        proxy = self.proxy(self.backend(answer))
        with proxy.connect() as client:
            client.send(b"GET /a%20b/?c=%26&d HTTP/1.1\r\nHost: example.org:99\r\nX-Kept: 1\r\n"
                        b"Connection: close,  X-Dropped \r\nX-Dropped: 2\r\nKeep-Alive: 3\r\nTE: x\r\n"
                        b"Upgrade: y\r\nProxy-Authorization: z\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
            head, body = client.rest().split(b"\r\n\r\n")
        method, path, fields = asked.get(timeout=PATIENCE)
        self.assertEqual((method, path), ("GET", "/a%20b/?c=%26&d"))
        self.assertEqual(sorted(fields), [
            ("Host", "example.org:99"), ("User-Agent", "runnel"), ("X-Forwarded-For", "10.0.0.1, 127.0.0.1"),
            ("X-Forwarded-Host", "example.org:99"), ("X-Kept", "1")])
        self.assertEqual(body, b"not here")
        names = sorted(line.split(b":")[0] for line in head.split(b"\r\n")[1:])
        self.assertEqual(names, [b"Connection", b"Content-Length", b"Content-Type", b"Date", b"Server",
                                 b"Set-Cookie", b"Set-Cookie"])

    def test_an_answer_comes_piece_by_piece(self):
        had = threading.Event()
        def answer(to):
            to.send_response(200)
            to.send_header("Transfer-Encoding", "chunked")
            to.end_headers()
            to.wfile.write(b"3\r\none\r\n")
            if had.wait(PATIENCE):
                to.wfile.write(b"3\r\ntwo\r\n0\r\n\r\n")
        response = self.ask(self.proxy(self.backend(answer)))
        self.assertEqual(response.read1(), b"one")
        had.set()
        self.assertEqual(response.read(), b"two")

    def test_a_request_goes_piece_by_piece(self):
        pieces = queue.Queue()
        def answer(to):
            for length in (3, 4):
                if to.headers["Transfer-Encoding"] == "chunked":
                    to.rfile.readline()
                pieces.put(to.rfile.read(length))
                if to.headers["Transfer-Encoding"] == "chunked":
                    to.rfile.readline()
            if to.headers["Transfer-Encoding"] == "chunked":
                to.rfile.read(5)
            to.send(200, b"thanks")
        proxy = self.proxy(self.backend(answer))
        for framing, one, two in ((b"Content-Length: 7", b"one", b"four"),
                                  (b"Transfer-Encoding: chunked", b"3\r\none\r\n", b"4\r\nfour\r\n0\r\n\r\n")):
            with proxy.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + framing + b"\r\n\r\n")
                client.until(b"HTTP/1.1 100 Continue\r\n\r\n")
                client.send(one)
                self.assertEqual(pieces.get(timeout=PATIENCE), b"one")
                client.send(two)
                self.assertEqual(pieces.get(timeout=PATIENCE), b"four")
                client.until(b"thanks")

    def test_says_when_no_backend_answers_and_notices_when_one_is_back(self):
        away = f"127.0.0.1:{example.free_port()}"
        proxy = self.proxy(away)
        response = self.ask(proxy)
        self.assertEqual(response.status, 502)
        self.assertEqual(response.read().decode(),
                         f"no backend answers: dial tcp {away}: Connection refused\n")

        there = self.backend(lambda to: to.send(200, b"here" + to.rfile.read(1)))
        both = self.proxy(away, there)
        for _ in range(4):
            self.assertEqual(self.ask(both, "POST", body=b"!").read(), b"here!")

        there.__exit__()
        self.assertEqual(self.ask(self.proxy(there)).status, 502)
        self.backend(lambda to: to.send(200, b"again"), port=there.server_port)
        self.assertEqual(self.ask(both).read(), b"again")

    def test_what_ends_early_does_not_look_complete(self):
        def answer(to):
            to.send_response(200)
            if to.path == "/length":
                to.send_header("Content-Length", "100")
                to.end_headers()
                to.wfile.write(b"half")
            else:
                to.send_header("Transfer-Encoding", "chunked")
                to.end_headers()
                to.wfile.write(b"4\r\nhalf\r\n")
            to.close_connection = True
        proxy = self.proxy(self.backend(answer))
        for path in ("/length", "/chunked"):
            with self.assertRaises(http.client.IncompleteRead) as caught:
                self.ask(proxy, path=path).read()
            self.assertEqual(caught.exception.partial, b"half")
        proxy = self.proxy(self.backend(lambda to: setattr(to, "close_connection", True)))
        self.assertEqual(self.ask(proxy).status, 502)

    def test_a_client_that_goes_away_is_told_to_the_backend(self):
        asked, ended = queue.Queue(), queue.Queue()
        def answer(to):
            asked.put(to.path)
            ended.put(to.rfile.read(1) if to.path == "/answer" else to.rfile.read(100))
        proxy = self.proxy(self.backend(answer))
        for path, length in (("/answer", 0), ("/upload", 100)):
            for go in (example.Peer.close, example.Peer.reset):
                client = proxy.connect()
                client.send(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
                if length:
                    client.send(b"half")
                self.assertEqual(asked.get(timeout=PATIENCE), path)
                go(client)
                self.assertIn(ended.get(timeout=PATIENCE), (b"", b"half"))

    def test_finishes_what_is_in_flight_after_it_was_interrupted(self):
        asked, go_on = threading.Event(), threading.Event()
        def answer(to):
            asked.set()
            go_on.wait(PATIENCE)
            to.send(200, b"finished")
        proxy = self.proxy(self.backend(answer))
        with proxy.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(asked.wait(PATIENCE))
            proxy.process.send_signal(signal.SIGTERM)
            proxy.wait_until_it_does_not_listen()
            go_on.set()
            self.assertTrue(client.rest().endswith(b"\r\n\r\nfinished"))
        self.assertEqual(proxy.process.wait(PATIENCE), 0)

    def test_heads_and_redirections_pass(self):
        def answer(to):
            if to.path == "/moved":
                return to.send(302, b"", [("Location", "/there")])
            to.send_response(304 if to.path == "/same" else 200)
            to.send_header("Content-Length", 4)
            to.end_headers()
            if to.command != "HEAD" and to.path != "/same":
                to.wfile.write(b"body")
        proxy = self.proxy(self.backend(answer))
        response = self.ask(proxy, "HEAD")
        self.assertEqual((response.status, response.length, response.read()), (200, 0, b""))
        self.assertEqual(response.getheader("Content-Length"), "4")
        self.assertEqual(self.ask(proxy, path="/same").status, 304)
        response = self.ask(proxy, path="/moved")
        self.assertEqual((response.status, response.getheader("Location")), (302, "/there"))

    def test_refuses_what_is_no_request(self):
        proxy = self.proxy(self.backend(lambda to: to.send(200)))
        with proxy.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.assertTrue(client.rest().startswith(b"HTTP/1.1 400 "))
        with proxy.connect() as client:  # known only when the backend has the first half
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n")
            self.assertTrue(client.rest().startswith(b"HTTP/1.1 400 "))

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl_to_httpd_behind_it(self):
        with tempfile.TemporaryDirectory() as folder:
            binary = os.urandom(3_000_000)
            (Path(folder) / "binary").write_bytes(binary)
            httpd = self.enterContext(Server(HTTPD, "127.0.0.1:0", folder))
            url = self.proxy(f"127.0.0.1:{httpd.port}").address
            got = run("curl", "-s", f"{url}binary", text=False)
            self.assertEqual(got.stdout, binary)
            got = run("curl", "-s", "-r", "5-9", f"{url}binary", text=False)
            self.assertEqual(got.stdout, binary[5:10])
            sent = "n" * 5_000_000
            for arguments in ([], ["-H", "Transfer-Encoding: chunked"]):
                got = run("curl", "-s", "-D", "-", *arguments, "--data-binary", "@-", f"{url}api/notes",
                          input=sent)
                self.assertIn("HTTP/1.1 201 Created", got.stdout)
            got = run("curl", "-s", "--http1.0", f"{url}api/notes/2")
            self.assertEqual(got.stdout, f'"{sent}"\n')


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
