#!/usr/bin/env python3
"""nginx in front of examples/httpd, as it is deployed: nginx_test.py NGINX HTTPD SLOW_SERVER."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import servers

NGINX, HTTPD, SLOW_SERVER = sys.argv[1:4]

CONFIGURATION = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  client_max_body_size 64m;
  upstream backend {{
    {backends}
    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      {retries}
    }}
    # Bodies are passed on while they come, in chunks if they came so.
    location /streamed/ {{
      proxy_pass http://backend/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream off;
    }}
  }}
}}
"""


class BehindNginx(unittest.TestCase):
    def home(self):
        return Path(self.enterContext(tempfile.TemporaryDirectory(prefix="runnel-")))

    def start_nginx(self, *backends, retries="proxy_next_upstream off;"):
        home = self.home()
        self.port = servers.free_port()
        (home / "nginx.conf").write_text(CONFIGURATION.format(
            home=home, backends=" ".join(f"server {b};" for b in backends), port=self.port,
            retries=retries))
        nginx = self.enterContext(servers.process(
            NGINX, "-p", home, "-c", home / "nginx.conf", "-e", "stderr",
            stderr=self.enterContext((home / "nginx.log").open("w"))))
        servers.await_port(self.port, nginx)

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=servers.PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection, method, path, body=None, headers=None, **options):
        connection.request(method, path, body, headers or {}, **options)
        answer = connection.getresponse()
        return answer, answer.read()


class Traffic(BehindNginx):
    def setUp(self):
        www = self.home()
        (www / "index.html").write_text("<p>index")
        self.binary = os.urandom(3_000_000)
        (www / "binary").write_bytes(self.binary)
        httpd = self.enterContext(servers.process(
            HTTPD, "127.0.0.1:0", www, stdout=subprocess.PIPE, text=True))
        self.backend = httpd.stdout.readline().strip().split("/")[2]
        self.start_nginx(self.backend)

    def requests_under_way(self):
        connection = http.client.HTTPConnection(self.backend, timeout=servers.PATIENCE)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(text.split("http_requests_under_way ")[1].split()[0]) - 1  # without this one

    def test_get_head_and_ranges(self):
        c = self.connect()
        answer, body = self.ask(c, "GET", "/binary")
        self.assertEqual((answer.status, body), (200, self.binary))
        etag = answer.headers["ETag"]
        answer, body = self.ask(c, "HEAD", "/binary")
        self.assertEqual((answer.status, body), (200, b""))
        self.assertEqual(answer.headers["Content-Length"], str(len(self.binary)))
        for wanted, part in (("bytes=5-9", self.binary[5:10]), ("bytes=-7", self.binary[-7:]),
                             ("bytes=2999990-", self.binary[2999990:])):
            answer, body = self.ask(c, "GET", "/binary", headers={"Range": wanted})
            self.assertEqual((answer.status, body), (206, part), wanted)
        answer, body = self.ask(c, "GET", "/binary", headers={"Range": "bytes=4000000-"})
        self.assertEqual(answer.status, 416)
        answer, body = self.ask(c, "GET", "/binary", headers={"If-None-Match": etag})
        self.assertEqual((answer.status, body), (304, b""))
        answer, body = self.ask(c, "GET", "/none")
        self.assertEqual(answer.status, 404)
        answer, body = self.ask(c, "GET", "/")
        self.assertEqual(body, b"<p>index")

    def test_bodies(self):
        c = self.connect()
        large = b"n" * 5_000_000

        def note_of(answer):
            self.assertEqual(answer.status, 201)
            return self.ask(c, "GET", answer.headers["Location"].rpartition("//")[2])[1]

        for prefix in ("", "/streamed"):
            for chunked in (False, True):
                for size in (0, 1, 70_000, len(large)):
                    sent = large[:size]
                    pieces = (sent[i:i + 10_000] for i in range(0, size, 10_000))
                    answer, _ = self.ask(c, "POST", prefix + "/api/notes",
                                         pieces if chunked else sent, encode_chunked=chunked,
                                         headers={"Transfer-Encoding": "chunked"} if chunked else {})
                    self.assertEqual(note_of(answer), b'"' + sent + b'"\n', (prefix, chunked, size))

    def test_too_large_a_body(self):
        c = self.connect()
        answer, _ = self.ask(c, "POST", "/api/notes", bytes(40 << 20))
        self.assertEqual(answer.status, 413)
        answer, body = self.ask(self.connect(), "GET", "/")
        self.assertEqual(body, b"<p>index")

    def test_many_at_once_on_kept_connections(self):
        wrong = []

        def work(number):
            c = self.connect()
            for i in range(50):
                answer, body = self.ask(c, "POST", "/api/notes", f"{number}.{i}")
                path = answer.headers["Location"]
                answer, body = self.ask(c, "GET", path[path.index("/api/"):])
                if body != f'"{number}.{i}"\n'.encode():
                    wrong.append((number, i, answer.status, body))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_clients_that_go_away(self):
        for i in range(50):
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                if i % 2 == 0:  # in the middle of an answer
                    s.sendall(b"GET /streamed/binary HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200"))
                else:  # in the middle of a body
                    s.sendall(b"POST /streamed/api/notes HTTP/1.1\r\nHost: x\r\n"
                              b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000)
        answer, body = self.ask(self.connect(), "GET", "/binary")
        self.assertEqual((answer.status, body), (200, self.binary))
        servers.await_that(lambda: self.requests_under_way() == 0)
        answer, body = self.ask(self.connect(), "GET", "/api/notes")
        self.assertEqual(body, b"[]\n")  # none of the halves was kept


class Shutdown(BehindNginx):
    def start_backend(self):
        server = self.enterContext(servers.process(
            SLOW_SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return server, server.stdout.readline().strip().split("/")[2]

    def order(self, server, line):
        server.stdin.write(line + "\n")
        server.stdin.flush()

    def in_parallel(self, count, work):
        threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
        for t in threads:
            t.start()
        return threads

    def test_requests_in_flight_are_answered(self):
        server, backend = self.start_backend()
        self.start_nginx(backend)
        answers = []

        def wait(_):
            answer, body = self.ask(self.connect(), "GET", "/held/gate")
            answers.append((answer.status, body))

        threads = self.in_parallel(20, wait)
        c = self.connect()
        servers.await_that(lambda: self.ask(c, "GET", "/held")[1] == b"20")
        self.order(server, "shutdown")
        servers.await_that(lambda: not servers.is_open(backend))
        self.assertEqual(answers, [])
        self.order(server, "open gate")
        for t in threads:
            t.join()
        self.assertEqual(answers, [(200, b"released")] * 20)
        self.assertEqual(server.wait(servers.PATIENCE), 0)

    # nginx asks the next one where a connection that it kept has been closed meanwhile: with GET, as it is configured by default.
    def test_another_server_takes_over_without_a_failure(self):
        old, old_address = self.start_backend()
        _, new_address = self.start_backend()
        self.start_nginx(old_address, new_address, retries="")
        wrong = []
        over = threading.Event()
        asked = [0] * 20

        def work(number):
            c = self.connect()
            while not over.is_set():
                path = "/fast/" if asked[number] % 3 else "/slow/"
                answer, body = self.ask(c, "GET", f"{path}{number}")
                asked[number] += 1
                if (answer.status, body) != (200, str(number).encode()):
                    wrong.append((answer.status, body))

        threads = self.in_parallel(20, work)
        servers.await_that(lambda: min(asked) > 10)
        self.order(old, "shutdown")
        self.assertEqual(old.wait(servers.PATIENCE), 0)
        enough = [n + 10 for n in asked]
        servers.await_that(lambda: all(n > e for n, e in zip(asked, enough)))
        over.set()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
