"""Real servers for tests: each in a temporary folder, on a socket or port of its own, gone when the test is over."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60
# What we start ends with us, even if we are killed.
MORTAL = ["setpriv", "--pdeathsig=KILL"]


@contextmanager
def process(*command, stop=signal.SIGTERM, **options):
    """A process that is ended, and waited for."""
    running = subprocess.Popen([*MORTAL, *(str(c) for c in command)], **options)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(stop)
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        for stream in (running.stdin, running.stdout, running.stderr):
            if stream is not None:
                stream.close()


def await_line(stream, text):
    """Reads until a line has the text; all that was read, should it end first."""
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return
    raise RuntimeError("the server has ended: " + "".join(seen))


@contextmanager
def folder(owner=None):
    with tempfile.TemporaryDirectory(prefix="runnel-") as name:
        if owner is not None:
            os.chown(name, owner.pw_uid, owner.pw_gid)
        yield Path(name)


def unprivileged():
    """Whom to run a server as that refuses to be root's, and how."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()), []
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user, [*MORTAL, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                      "--clear-groups"]
    raise RuntimeError("no user to run the server as")


@contextmanager
def postgres(binary):
    """Yields the connection string."""
    user, become = unprivileged()
    with folder(user) as home:
        data = home / "data"
        subprocess.run(
            [*become, Path(binary).with_name("initdb"), "-D", data, "-A", "trust", "-U", "test",
             "-N", "-E", "UTF8", "--locale=C"],
            cwd=home, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
        settings = {"listen_addresses": "", "unix_socket_directories": home, "fsync": "off",
                    "max_connections": 250, "shared_buffers": "32MB", "autovacuum": "off"}
        arguments = [a for key, value in settings.items() for a in ("-c", f"{key}={value}")]
        # Immediately: nobody needs the data.
        with process(*become, binary, "-D", data, *arguments, cwd=home, stop=signal.SIGQUIT,
                     stderr=subprocess.PIPE, text=True) as server:
            await_line(server.stderr, "ready to accept connections")
            yield f"host={home} user=test dbname=postgres"


@contextmanager
def redis(binary):
    """Yields the socket's path."""
    with folder() as home:
        path = home / "redis.sock"
        with process(binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", home,
                     "--hz", "500",  # how often it looks whose time is up
                     stdout=subprocess.PIPE, text=True) as server:
            await_line(server.stdout, f"ready to accept connections at {path}")
            yield str(path)


@contextmanager
def http(*command):
    """A server that prints its URL first. Yields that."""
    with process(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_that(condition):
    """For what nobody announces."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("has not happened")
        time.sleep(0.01)


def is_open(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as s:
        return s.connect_ex((host, int(port))) == 0


def await_port(port, server):
    def ready():
        if server.poll() is not None:
            raise RuntimeError("the server has ended")
        return is_open(f"127.0.0.1:{port}")

    await_that(ready)
