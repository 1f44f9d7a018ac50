"""Builds the programs: C++ through CMake, Go with the machine's go."""

import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

from .cases import Case
from .contestants import CONTESTANTS, source, target
from .places import BENCH, DEFAULT_BUILD_DIR, ROOT


class BuildError(Exception):
    pass


def run(command: list, **options) -> str:
    """The output of a command that has to succeed."""
    done = subprocess.run(
        [str(word) for word in command], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **options
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


class Cxx:
    """A CMake build folder with the benchmarks turned on."""

    def __init__(self, build_dir: Path):
        self.build_dir = build_dir

    def configure(self) -> None:
        cache = self.build_dir / "CMakeCache.txt"
        wanted = "RUNNEL_BUILD_BENCH:BOOL=ON"
        if not cache.exists():
            run(["cmake", "-S", ROOT, "-B", self.build_dir, "--preset", "release", "-D", wanted],
                cwd=ROOT)
        elif wanted not in cache.read_text().splitlines() or not self.facts_file().exists():
            run(["cmake", self.build_dir, "-D", wanted])

    def facts_file(self) -> Path:
        return self.build_dir / "bench" / "build.txt"

    def facts(self) -> dict[str, str]:
        """What bench/CMakeLists.txt says about the build."""
        lines = self.facts_file().read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def targets(self) -> list[str]:
        return self.facts()["targets"].split(";")

    def build(self, targets: list[str]) -> None:
        run(["cmake", "--build", self.build_dir, "--target", *targets])

    def executable(self, name: str) -> Path:
        return self.build_dir / "bench" / name


class Go:
    """The go command: from the path, else from where Go's own and Debian's packages put it."""

    def __init__(self, build_dir: Path):
        self.out = build_dir / "bench"
        self.command = find_go()
        # What stands in somebody's environment must not change what is measured.
        self.environment = {k: v for k, v in os.environ.items() if not re.match("GO[A-Z0-9]+$", k)}
        self.environment |= {
            "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOWORK": "off", "GOENV": "off",
            "GOCACHE": str(self.out / "go-cache"),
        }

    def version(self) -> str:
        found = re.search(r"go(\d[\w.]*)", run([self.command, "version"], env=self.environment))
        if not found:
            raise BuildError("go does not say its version")
        return found[1]

    def build(self, path: Path, executable: Path) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        # A module of an older version gets that version's behaviour; we want this Go's own.
        language = ".".join(re.split("[^0-9]", self.version())[:2])
        modfile = self.out / "go.mod"
        modfile.write_text(f"module runnel_bench\n\ngo {language}\n")
        run([self.command, "build", f"-modfile={modfile}", "-o", executable, path],
            cwd=BENCH, env=self.environment)


def find_go() -> str | None:
    packaged = sorted(glob.glob("/usr/lib/go-*/bin/go"))
    places = [shutil.which("go"), "/usr/local/go/bin/go", *packaged]
    return next((p for p in places if p and os.access(p, os.X_OK)), None)


def find_nginx() -> str | None:
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def build(cases: list[Case], contestants: list[str], build_dir: Path, say) -> dict:
    """Builds what is asked for and can be had: {(case name, contestant): executable}."""
    cxx, go = Cxx(build_dir), Go(build_dir)
    wanted = [(case, name) for case in cases for name in contestants if source(case, name)]
    programs = {}

    in_cxx = [(case, name) for case, name in wanted if name not in ("go", "nginx")]
    if in_cxx:
        cxx.configure()
        known = cxx.targets()
        missing = {name for case, name in in_cxx if target(case, name) not in known}
        for name in sorted(missing):
            say(f"{CONTESTANTS[name].title} is not here: going on without it")
        in_cxx = [(case, name) for case, name in in_cxx if name not in missing]
    if in_cxx:
        say(f"building {len(in_cxx)} C++ programs")
        cxx.build([target(case, name) for case, name in in_cxx])
        programs |= {(c.name, name): cxx.executable(target(c, name)) for c, name in in_cxx}

    in_nginx = [case for case, name in wanted if name == "nginx"]
    if in_nginx and not find_nginx():
        say("nginx is not here: going on without it")
        in_nginx = []
    for case in in_nginx:  # a script, beside the load generator that it runs
        executable = cxx.executable(target(case, "nginx"))
        executable.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source(case, "nginx"), executable)
        programs[case.name, "nginx"] = executable

    in_go = [case for case, name in wanted if name == "go"]
    if in_go and not go.command:
        say("Go is not here: going on without it")
    elif in_go:
        say(f"building {len(in_go)} Go programs")
        for case in in_go:
            executable = go.out / target(case, "go")
            go.build(source(case, "go"), executable)
            programs[case.name, "go"] = executable
    return programs
