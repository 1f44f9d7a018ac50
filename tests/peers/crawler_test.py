#!/usr/bin/env python3
"""The example crawler: crawler_test.py CRAWLER HTTPD."""

import collections
import re
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import example
from example import Backend, Server, run

CRAWLER, HTTPD = sys.argv[1:3]


class Site(Backend):
    """Answers with what page(path) gives: a status, fields, a body."""

    def __init__(self, page):
        self.asked = collections.Counter()
        lock = threading.Lock()
        def answer(to):
            with lock:
                self.asked[to.path] += 1
            status, fields, body = page(to.path)
            to.send(status, body, fields.items())
            to.close_connection = fields.get("Content-Length", 0) > len(body)
        super().__init__(answer)
        self.url = "http://" + self.address


def html(text):
    return 200, {"Content-Type": "text/html; charset=utf-8"}, text.encode()


class Crawler(unittest.TestCase):
    def crawl(self, url, *arguments):
        got = run(CRAWLER, url, *arguments)
        self.assertEqual(got.stderr, "")
        return got.returncode, got.stdout.replace(url.rstrip("/"), "").splitlines()

    def test_visits_every_page_of_a_directory(self):
        with tempfile.TemporaryDirectory() as folder:
            www = Path(folder)
            (www / "index.html").write_text('<a href="a/">a</a> <a\nHREF = \'b.html#part\'>b</A>')
            (www / "a").mkdir()
            (www / "a/index.html").write_text('<img src="../p.png"> <a href="/b.html?x=1&amp;y">')
            (www / "b.html").write_text('<a href="a/../gone.html">  <b data-href="no.html">')
            (www / "p.png").write_bytes(b'<a href="no.html">')
            with Server(HTTPD, "127.0.0.1:0", www) as httpd:
                status, lines = self.crawl(httpd.address)
        self.assertEqual([line.split()[::2] for line in lines[:-2]],
                         [["0", "/"], ["1", "/a/"], ["1", "/b.html"], ["2", "/p.png"],
                          ["2", "/b.html?x=1&y"], ["2", "/gone.html"]])
        self.assertEqual(lines[3].split(), ["2", "18", "/p.png"])
        self.assertEqual(lines[-2], "broken: /gone.html on /b.html: 404 Not Found")
        self.assertRegex(lines[-1], r"^6 pages, 0\.0 MB, 1 broken links in \d+\.\d\d s: \d+ pages/s, ")
        self.assertEqual(status, 1)

    def test_visits_no_page_twice_and_no_other_site(self):
        other = self.enterContext(Site(lambda path: html("")))
        def page(path):
            number = int(path.strip("/") or 0)
            links = "".join(f'<a href="/{(number * k) % 50}">' for k in range(1, 50))
            return html(links + f'<a href="/{(number + 1) % 50}#x">' +
                        f'<a href="{other.url}/"><a href="mailto:a@b"><a href="https:/">')
        site = self.enterContext(Site(page))
        status, lines = self.crawl(site.url + "/", 100)
        self.assertEqual(status, 0, lines)
        self.assertEqual(set(site.asked), {"/"} | {f"/{n}" for n in range(50)})
        self.assertEqual(set(site.asked.values()), {1})
        self.assertEqual(other.asked.total(), 0)

    def test_goes_no_deeper_than_told(self):
        site = self.enterContext(Site(lambda path: html(f'<a href="{path}x">')))
        for depth in (0, 1, 7):
            status, lines = self.crawl(site.url + "/", depth)
            self.assertEqual([line.split()[2] for line in lines[:-1]],
                             ["/" + "x" * n for n in range(depth + 1)])
            self.assertEqual(status, 0)

    def test_has_as_many_requests_under_way_as_told(self):
        # Nobody is answered before four are there; then a fifth would come, if it could.
        four = threading.Barrier(4, timeout=example.PATIENCE)
        five = threading.Event()
        lock = threading.Lock()
        now = 0
        def page(path):
            nonlocal now
            if path == "/":
                return html("".join(f'<a href="{n}">' for n in range(12)))
            with lock:
                now += 1
                if now > 4:
                    five.set()
            four.wait()
            five.wait(0.2)
            four.wait()
            with lock:
                now -= 1
            return html("")
        site = self.enterContext(Site(page))
        status, lines = self.crawl(site.url + "/", 1, 4)
        self.assertEqual((status, len(lines)), (0, 14))
        self.assertFalse(five.is_set())

    def test_follows_redirections_and_takes_links_from_where_they_lead(self):
        def page(path):
            if path == "/":
                return html('<a href="old">')
            if path == "/old":
                return 302, {"Location": "/new/place"}, b""
            return html('<a href="next">')
        site = self.enterContext(Site(page))
        status, lines = self.crawl(site.url + "/")
        self.assertEqual([line.split()[2] for line in lines[:-1]], ["/", "/old", "/new/next"])

    def test_lists_what_cannot_be_had_with_the_reason(self):
        def page(path):
            if path == "/":
                return html('<a href="short"> <a href="no"> <a href="broken">')
            if path == "/short":
                return 200, {"Content-Type": "text/html", "Content-Length": 100}, b"not all of it"
            return 500 if path == "/broken" else 403, {}, b""
        site = self.enterContext(Site(page))
        status, lines = self.crawl(site.url + "/")
        self.assertEqual(lines[-4:-1], ["broken: /short on /: http: unexpected end of the stream",
                                        "broken: /no on /: 403 Forbidden",
                                        "broken: /broken on /: 500 Internal Server Error"])
        self.assertEqual(status, 1)
        away = f"http://127.0.0.1:{example.free_port()}/"
        status, lines = self.crawl(away)
        self.assertRegex(lines[1], r"^broken: / on the command line: dial tcp .*: Connection refused$")
        self.assertEqual(status, 1)

    def test_rejects_arguments_that_make_no_sense(self):
        url = "http://127.0.0.1:1/"
        for arguments in ([], ["x"], ["https://a/"], [url, "-1"], [url, "x"], [url, "5", "0"],
                          [url, "5", "10001"], [url, "5", "5", "5"], ["-h"]):
            got = run(CRAWLER, *arguments)
            self.assertEqual(got.returncode, 2, arguments)
            self.assertRegex(got.stderr, re.compile(r"^crawler: want .*\nUsage: ", re.ASCII))
            self.assertEqual(got.stdout, "")
        got = run(CRAWLER, "--help")
        self.assertEqual((got.returncode, got.stdout[:15]), (0, "Usage: crawler "))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
