"""check.py accepts what a source announces, and rejects everything else."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).parent / "check.py"
HEAD = "// It goes wrong.\n// status: 3\n// expect: ^one$\n// expect: two\n// never: three\n"
GOOD = "echo one >&2; echo and two >&2; exit 3"


def outcome(script, head=HEAD, *options):
    """The status and the output of check.py for a shell script."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "it.cpp")
        source.write_text(head + "int main() {}\n", encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", CHECK, *options, "--", source, "sh", "-c", script],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout


class Check(unittest.TestCase):
    def test_accepts_what_is_expected(self):
        self.assertEqual(outcome(GOOD), (0, ""))
        self.assertEqual(outcome("for i in two one one; do echo $i; done >&2; echo twofold >&2; exit 3"), (0, ""))

    def test_rejects_and_says_why(self):
        for script, why in (
            ("echo one >&2; echo two >&2; exit 2", "expected status 3, got: status 2"),
            ("echo one >&2; echo two >&2; kill -ABRT $$", "expected status 3, got: signal SIGABRT"),
            ("echo two >&2; echo one >&2; exit 3", "expect number 2 was not found after line 2 of the output: two"),
            ("echo one two >&2; exit 3", "expect number 1 was not found in the output: ^one$"),
            ("echo one; echo two; exit 3", "expect number 1 was not found in the output: ^one$"),
            (GOOD.replace("exit", "echo three >&2; exit"), "line 3 of the output must not be there: three"),
        ):
            with self.subTest(script):
                status, text = outcome(script)
                self.assertEqual(status, 1)
                self.assertEqual(text.splitlines()[0], why)
                self.assertIn("--- standard error", text)

    def test_ends_what_does_not_end(self):
        status, text = outcome("echo one >&2; echo two >&2; sleep 1000 & wait", HEAD, "--timeout", "0.5")
        self.assertEqual((status, text.splitlines()[0]), (1, "expected status 3, got: did not end"))

    def test_a_signal_can_be_expected(self):
        self.assertEqual(outcome("echo one >&2; kill -SEGV $$", "// It.\n// status: SIGSEGV\n// expect: one\n"), (0, ""))

    def test_sets_the_environment(self):
        self.assertEqual(outcome("echo $A >&2", "// It.\n// status: 0\n// expect: ^b=c$\n// env: A=b=c\n"), (0, ""))

    def test_skips_what_a_build_cannot_do(self):
        head = HEAD + "// skip: asan tsan\n"
        self.assertEqual(outcome("exit 1", head, "--kind", "lto", "--kind", "tsan")[0], 77)
        self.assertEqual(outcome(GOOD, head, "--kind", "lto")[0], 0)

    def test_rejects_a_head_that_says_too_little(self):
        for head in ("", "// It.\n", "// It.\n// status: 3\n", "// status: 3\n// expect: one\n",
                     HEAD + "// skip: mondays\n", HEAD + "// expect: (\n", HEAD.replace("3", "three")):
            with self.subTest(head):
                self.assertEqual(outcome(GOOD, head)[0], 1)


if __name__ == "__main__":
    unittest.main()
