"""The checks of this folder accept a good tree, and reject it once one thing in it is wrong."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).parent

GOOD = {
    "src/CMakeLists.txt": "set(layers\n  base\n  memory\n  sched\n  chan)\n",
    "src/base/check.h": "#pragma once\n#include <memory>\n",
    "src/sched/g.h": '#pragma once\n#include "base/check.h"\n#include "sched/m.h"\n',
    "src/sched/m.h": "#pragma once\n#include <runnel/go.h>\n",
    "include/runnel/go.h": "#pragma once\n#include <runnel/detail/run.h>\n",
    "include/runnel/detail/run.h": "#pragma once\n",
    "tests/unit/sched/g_test.cpp": '#include "sched/g.h"\n',
    "dev": "#!/usr/bin/env bash\ncmd_test() {\n",
    "README.md": "# It\n\n[More](docs/more.md#on-it), `src/base/check.h`, `src/*/g.h`, `./dev test`.\n",
    "docs/more.md": "# More\n\n## On `it`\n\n[Back](../README.md)\n\n```cpp\n#include <runnel/go.h>\n```\n",
}


PROGRAM = "// It ends.\n// status: 2\n// expect: it\nint main() {}\n"
REPORTED = {
    "tests/reports/ends.cpp": PROGRAM,
    "tools/report_page.md.in": "# Reports\n\n{{ends}}\n\nSo much for that.\n",
    "docs/when-it-goes-wrong.md":
        "<!-- Written by ./dev reports from tools/report_page.md.in and tests/reports. -->\n\n"
        "# Reports\n\n```cpp\n// It ends.\nint main() {}\n```\n\n"
        "It prints, and ends with status 2:\n\n```text\nit\n```\n\nSo much for that.\n",
}


def findings(check, changes):
    """What the check prints of the good tree with these changes: nothing when it accepts it."""
    command = [TOOLS / check] if check != "report_page" else [TOOLS / "report_page.py", "--check"]
    with tempfile.TemporaryDirectory() as root:
        for name, text in (GOOD | changes).items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-B", *command, root],
                              stdout=subprocess.PIPE, text=True, check=False)
        assert done.returncode == (1 if done.stdout else 0), done
        return done.stdout.splitlines()


class Checks(unittest.TestCase):
    def rejects(self, check, where, name, text):
        found = findings(check, {name: text})
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(where + ": "), found[0])

    def test_a_good_tree_is_accepted(self):
        for check in "check_layers", "check_style", "check_docs":
            with self.subTest(check):
                self.assertEqual(findings(check, {}), [])

    def test_layers_rejects(self):
        for where, name, text in (
            ("src/base/up.cpp:2", "src/base/up.cpp", '\n#include "sched/g.h"\n'),
            ("src/base/up.cpp:1", "src/base/up.cpp", "#  include <chan/chan.h>\n"),
            ("src/sched/x.S:1", "src/sched/x.S", '#include "chan/chan.h"\n'),
            ("src/sched/x.h:1", "src/sched/x.h", '#include "../base/check.h"\n'),
            ("src/stray/x.h:1", "src/stray/x.h", "#pragma once\n"),
            ("include/runnel/x.h:2", "include/runnel/x.h", '#pragma once\n#include "base/check.h"\n'),
            ("include/runnel/detail/x.h:1", "include/runnel/detail/x.h", "#include <sched/g.h>\n"),
        ):
            with self.subTest(where + " " + text):
                self.rejects("check_layers", where, name, text)

    def test_style_rejects(self):
        for where, name, text in (
            ("src/base/x.h:1", "src/base/x.h", "int x;\n"),
            ("src/base/x.cpp:2", "src/base/x.cpp", "int x;\nint y; \n"),
            ("src/base/x.S:1", "src/base/x.S", "\tret\n"),
            ("docs/x.md:1", "docs/x.md", "TO" "DO\n"),
            ("src/base/x.cpp:1", "src/base/x.cpp", "// FIX" "ME: later\n"),
            ("src/base/x.cpp:501", "src/base/x.cpp", "int x;\n" * 501),
            ("tests/x_test.cpp:1", "tests/x_test.cpp", "std::this_thread::sleep_for(1s);\n"),
            ("tests/x_test.cpp:1", "tests/x_test.cpp", "usleep(10);\n"),
        ):
            with self.subTest(where + " " + text[:40]):
                self.rejects("check_style", where, name, text)

    def test_docs_rejects(self):
        for text in (
            "[gone](docs/gone.md)",
            "[gone](docs/more.md#gone)",
            "`src/base/gone.h`",
            "`src/*/gone.h`",
            "`<runnel/gone.h>`",
            "`./dev gone`",
            "```\n./dev gone\n```",
        ):
            with self.subTest(text):
                line = 4 if text.startswith("```") else 3
                self.rejects("check_docs", f"README.md:{line}", "README.md", f"# It\n\n{text}\n")

    def test_report_page_accepts_what_is_up_to_date(self):
        self.assertEqual(findings("report_page", REPORTED), [])
        hidden = {"tests/reports/more.cpp": PROGRAM,
                  "tools/report_page.md.in": "{{- more}}\n" + REPORTED["tools/report_page.md.in"]}
        self.assertEqual(findings("report_page", REPORTED | hidden), [])

    def test_report_page_rejects(self):
        page = REPORTED["docs/when-it-goes-wrong.md"]
        for where, name, text in (
            ("tools/report_page.md.in:1", "tests/reports/more.cpp", PROGRAM),
            ("tools/report_page.md.in:1", "tools/report_page.md.in", "{{ends}}\n\n{{gone}}\n"),
            ("docs/when-it-goes-wrong.md:5", "tests/reports/ends.cpp", PROGRAM + "\n"),
            ("docs/when-it-goes-wrong.md:1", "tools/report_page.md.in", "# It\n\n{{ends}}\n"),
            ("docs/when-it-goes-wrong.md:15", "docs/when-it-goes-wrong.md", page.replace("much", "far")),
            ("docs/when-it-goes-wrong.md:17", "docs/when-it-goes-wrong.md", page + "\n"),
            ("docs/when-it-goes-wrong.md:10", "docs/when-it-goes-wrong.md", page.replace("```text\n", "")),
        ):
            with self.subTest(where + " " + name):
                found = findings("report_page", REPORTED | {name: text})
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(where + ": "), found[0])


if __name__ == "__main__":
    unittest.main()
