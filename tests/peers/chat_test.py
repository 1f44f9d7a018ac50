#!/usr/bin/env python3
"""The example chat: chat_test.py CHAT."""

import shutil
import signal
import sys
import unittest

import example
from example import Peer, Server, run

CHAT = sys.argv[1]


class Chat(example.Usage, unittest.TestCase):
    PROGRAM = CHAT

    def setUp(self):
        self.server = self.enterContext(Server(CHAT, "127.0.0.1:0"))

    def enter(self, name):
        client = self.enterContext(self.server.connect())
        client.until(b"Your name? ")
        client.send(name.encode() + b"\n")
        client.until(b"* here:")
        client.until(b"\n")
        return client

    def test_everybody_hears_everybody_else(self):
        ann, bob = self.enter("ann"), self.enter("bob")
        self.assertEqual(ann.until(b"\n"), b"* bob is here\n")
        cid = self.enter("cid")
        ann.until(b"* cid is here\n"), bob.until(b"* cid is here\n")
        bob.send(b"hello\n\nall\n")
        for other in (ann, cid):
            self.assertEqual(other.until(b"bob: all\n"), b"bob: hello\nbob: all\n")
        ann.send(b"/who\n")
        self.assertEqual(ann.until(b"\n"), b"* here: ann bob cid\n")
        cid.send(b"/quit\n")
        self.assertEqual(cid.rest(), b"")
        # Nothing of his own came back to him.
        self.assertEqual(bob.until(b"\n"), b"* cid has gone\n")

    @unittest.skipUnless(shutil.which("nc"), "no nc")
    def test_nc_gets_what_was_said_before_it_ends(self):
        ann = self.enter("ann")
        got = run("nc", "-N", "127.0.0.1", self.server.port, input="bob\nhello\n/who\n")
        self.assertEqual(got.stdout, "Your name? * here: ann bob\n* here: ann bob\n")
        self.assertEqual(ann.until(b"gone\n"),
                         b"* bob is here\nbob: hello\n* bob has gone\n")

    def test_asks_again_for_a_name(self):
        self.enter("ann")
        client = self.enterContext(self.server.connect())
        for name in (b"", b"two words", b"/who", b"x" * 21):
            client.send(name + b"\r\n")
            client.until(b"A name has 1 to 20 bytes, no space, no / in front. Another: ")
        client.send(b"ann\r\n")
        client.until(b"Somebody has that name. Another: ")
        client.send(b"bob\r\n")
        self.assertEqual(client.until(b"\n"), b"* here: ann bob\n")

    def test_drops_what_a_client_did_not_finish(self):
        ann = self.enter("ann")
        for end in (Peer.close, Peer.reset):
            bob = self.enter("bob")
            bob.send(b"whole\nhal")
            ann.until(b"bob: whole\n")
            end(bob)
            self.assertEqual(ann.until(b"\n"), b"* bob has gone\n")
        nobody = self.server.connect()  # who has no name yet
        nobody.send(b"bo")
        nobody.close()
        bob = self.enter("bob")
        self.assertEqual(ann.until(b"\n"), b"* bob is here\n")

    def test_takes_out_what_is_no_text_and_cuts_long_lines(self):
        ann, bob = self.enter("ann"), self.enter("bob")
        ann.until(b"* bob is here\n")
        bob.send(b"\x1b[31mred\x07\x7f\r\n" + "grün\n".encode())
        self.assertEqual(ann.until(b"n\n"), "bob: [31mred\nbob: grün\n".encode())
        bob.send(b"x" * 2500 + b"\n")
        self.assertEqual(ann.until(b"x\nbob: " + b"x" * 500 + b"\n"),
                         (b"bob: " + b"x" * 1000 + b"\n") * 2 + b"bob: " + b"x" * 500 + b"\n")

    def test_everybody_leaves_when_it_is_interrupted(self):
        ann, nobody = self.enter("ann"), self.enterContext(self.server.connect())
        nobody.until(b"Your name? ")
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual((ann.rest(), nobody.rest()), (b"", b""))
        self.assertEqual(self.server.process.wait(example.PATIENCE), 0)

    def test_shows_out_who_takes_nothing(self):
        talker, slow = self.enter("talker"), self.enter("slow")
        heard = talker.until(b"* slow is here\n")
        for _ in range(100_000):
            talker.send(b"y" * 999 + b"\n")
            if talker.has_something():
                heard = talker.until(b"\n")
                break
        self.assertEqual(heard, b"* slow has gone\n")
        # What the kernel has kept for him is all that there is.
        self.assertRegex(slow.rest(), rb"^(talker: y{999}\n)+")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
