"""What the tests of the examples share: programs, and sockets that do not wait for ever."""

import contextlib
import http.server
import re
import select
import socket
import struct
import subprocess
import threading

PATIENCE = 30


def run(*command, **options):
    """A program that ends by itself. Text, unless told otherwise."""
    return subprocess.run([str(c) for c in command],
                          **{"capture_output": True, "timeout": PATIENCE, "text": True, **options})


class Server:
    """A program that prints its address first, and is ended with the block."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()
        port = re.search(r":(\d+)/?$", self.address)
        self.port = int(port[1]) if port else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        return connect(self.port)

    def wait_until_it_does_not_listen(self):
        with contextlib.suppress(ConnectionError):
            while True:
                self.connect().close()


def connect(port):
    return Peer(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))


class Peer:
    """One end of a connection, which gives back what it has read in the portions asked for."""

    def __init__(self, connection):
        self.socket = connection
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, what):
        self.socket.sendall(what)

    def until(self, what):
        while what not in self.text:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(f"ended before {what}: {self.text[-500:]}")
            self.text += piece
        end = self.text.index(what) + len(what)
        found, self.text = self.text[:end], self.text[end:]
        return found

    def rest(self):
        while piece := self.socket.recv(65536):
            self.text += piece
        return self.text

    def has_something(self):
        return self.text or select.select([self.socket], [], [], 0)[0]

    def close_write(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes as who has crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def free_port():
    """Where nobody listens. Bound until this process ends, so that nobody takes it."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    KEPT.append(taken)
    return taken.getsockname()[1]


KEPT = []


class Backend(http.server.ThreadingHTTPServer):
    """A server of HTTP whose requests are answered by answer(handler)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer, port=0):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = PATIENCE

            def setup(self):
                super().setup()
                self.server.connections.append(self.connection)

            def handle_one(self):
                answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = handle_one

            def send(self, status, body=b"", fields=()):
                self.send_response(status)
                for name, value in fields:
                    self.send_header(name, value)
                if "Content-Length" not in dict(fields):
                    self.send_header("Content-Length", len(body))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.connections = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        for connection in self.connections:  # those that are kept, too
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Usage:
    """Of every server among the examples. PROGRAM is its path, WITH what stands behind the address."""

    WITH = ()

    def test_explains_itself(self):
        got = run(self.PROGRAM, "--help")
        self.assertEqual(got.returncode, 0)
        self.assertRegex(got.stdout, r"^Usage: \w+ ADDRESS")
        self.assertEqual(got.stderr, "")

    def test_rejects_arguments_that_make_no_sense(self):
        for arguments in ([], ["--what"], ["--what", *self.WITH], [*self.WITH, "-x", "127.0.0.1:0"]):
            got = run(self.PROGRAM, *arguments)
            self.assertEqual(got.returncode, 2, arguments)
            self.assertEqual(got.stdout, "")
            self.assertRegex(got.stderr, r"^\w+: want .*\nUsage: ")

    def test_says_why_it_cannot_listen(self):
        with Server(self.PROGRAM, "127.0.0.1:0", *self.WITH) as server:
            for address, why in ((f"127.0.0.1:{server.port}", "Address already in use"),
                                 ("127.0.0.1", "malformed address"),
                                 ("192.0.2.1:1", "Cannot assign requested address")):
                got = run(self.PROGRAM, address, *self.WITH)
                self.assertEqual(got.returncode, 1)
                self.assertRegex(got.stderr, rf"^\w+: listen tcp {address}: {why}\n$")
