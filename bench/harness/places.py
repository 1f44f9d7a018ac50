"""Where things are."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
DEFAULT_BUILD_DIR = ROOT / "build" / "release"
REPORT = ROOT / "docs" / "benchmarks.md"
