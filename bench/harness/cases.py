"""The table of cases: what each measures, and what is wanted of it.

A new case is one entry here and a folder bench/<name>/ with one program per contestant.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .corpus import corpus


# What a target may refer to besides a rival: Runnel itself with one P.
ONE_P = "runnel, 1 P"


@dataclass(frozen=True)
class Own:
    """The same: another metric of Runnel's own, with as many Ps."""

    key: str


@dataclass(frozen=True)
class Target:
    """Runnel's median is to be at most `limit`: in the metric's unit, or times another median, to
    which `plus` may be added."""

    limit: float
    times: str | Own | None = None  # a rival's, or Runnel's own of ONE_P or of another metric
    procs: int | None = None  # None: however many
    plus: float = 0  # in the metric's unit


@dataclass(frozen=True)
class Metric:
    """One key of the line a program prints. Every metric is a cost: less is better."""

    key: str
    unit: str
    targets: tuple[Target, ...] = ()
    compared: bool = True  # with the rivals; False where their ratio would say nothing
    runnel_only: bool = False  # the rivals' programs do not print it


@dataclass(frozen=True)
class Run:
    """What a program's arguments may depend on."""

    contestant: str
    procs: int
    scale: float  # which part of the usual work to do
    folder: Path  # for input that has to be made


def usual_arguments(run: Run) -> list[str]:
    return ["--procs", str(run.procs), "--scale", str(run.scale)]


@dataclass(frozen=True)
class Case:
    name: str
    about: str  # goes into docs/benchmarks.md
    metrics: tuple[Metric, ...]
    # Programs that do not lie at bench/<name>/<contestant's usual file>, from the project's root.
    sources: dict[str, str] = field(default_factory=dict)
    arguments: Callable[[Run], list[str]] = usual_arguments
    # Whether the programs print their work instead of metrics: it has to be the same, and only
    # `wall_s` and `cores` are known of them.
    real_work: bool = False


def go(limit: float, procs: int | None = None) -> Target:
    return Target(limit, "go", procs)


def absolute(limit: float) -> Target:
    return Target(limit)


NO_SLOWER_THAN_BOOST = Target(1.0, "boost_fiber")
# More Ps may not help where goroutines only wait for one another, but they must not hurt.
TWO_PS_NO_SLOWER = Target(1.3, ONE_P, procs=2)


def compared(key: str, unit: str, *targets: Target) -> Metric:
    return Metric(key, unit, (*targets, NO_SLOWER_THAN_BOOST))


def scaling(key: str, unit: str, *targets: Target) -> Metric:
    """One that two Ps must not make worse."""
    return Metric(key, unit, (*targets, TWO_PS_NO_SLOWER))


def alone(key: str, unit: str, *targets: Target) -> Metric:
    return Metric(key, unit, targets, compared=False)


def own(key: str, unit: str, *targets: Target) -> Metric:
    """One that only Runnel's program has."""
    return Metric(key, unit, targets, compared=False, runnel_only=True)


def wordfreq_arguments(run: Run) -> list[str]:
    # Runnel and Go are told the number of Ps by their environment.
    jobs = ["--jobs", str(run.procs)] if run.contestant == "threads" else []
    return [*jobs, str(corpus(run.folder, run.scale))]


CASES = (
    Case(
        "spawn_join",
        "Starts goroutines in batches of 1000 and waits for each batch: three million in all, after"
        " a warm-up of a tenth. Runnel and Go join through a wait group, Boost.Fiber joins each"
        " fiber.",
        (compared("ns_each", "ns per goroutine", go(0.35, procs=1), go(0.50, procs=2)),),
    ),
    Case(
        "spawn_million",
        "Starts a million goroutines at once and then waits for all of them. No warm-up: the first"
        " use of their memory is part of it.",
        (compared("ns_each", "ns per goroutine", go(0.35)),),
    ),
    Case(
        "yield",
        "Two goroutines yield to one another, ten million times each, after a warm-up of a tenth;"
        " the time is divided by the yields of both. With two Ps each may have one to itself.",
        (compared("ns_per_yield", "ns per yield", go(0.15)),),
    ),
    Case(
        "mutex",
        "Eight goroutines add to one counter under one mutex, five million times each, after a"
        " warm-up of a tenth.",
        (compared("ns_per_pair", "ns per lock and unlock", go(0.70)),),
    ),
    Case(
        "ping_pong",
        "A value goes to and fro between two goroutines over two unbuffered channels, three million"
        " times, after a warm-up of a tenth.",
        (scaling("ns_per_round_trip", "ns per round trip", go(0.40), NO_SLOWER_THAN_BOOST),),
    ),
    Case(
        "buffered_1_1",
        "One goroutine sends twenty million values to one other over a channel with a buffer of"
        " 128, after a warm-up of a tenth.",
        (scaling("ns_per_value", "ns per value", go(0.35), NO_SLOWER_THAN_BOOST),),
    ),
    Case(
        "buffered_4_4",
        "Four goroutines send five million values each to four others over one channel with a"
        " buffer of 128, after a warm-up of a tenth.",
        (scaling("ns_per_value", "ns per value", go(0.45), NO_SLOWER_THAN_BOOST),),
    ),
    Case(
        "select_unbuffered",
        "Four goroutines send 750,000 values each, every one on an unbuffered channel of its own,"
        " and one more selects over the four; after a warm-up of a tenth. Boost.Fiber has no"
        " select.",
        (scaling("ns_per_value", "ns per value", go(0.50)),),
    ),
    Case(
        "select_buffered",
        "The same with two million values each and channels with a buffer of 128.",
        (scaling("ns_per_value", "ns per value", go(0.45)),),
    ),
    Case(
        "ring",
        "A ring of 10,000 goroutines, each with an unbuffered channel to the next, through which a"
        " token goes round 300 times, after a warm-up of one round. One goroutine runs at a time:"
        " a second P has nothing to do, and must not get in the way.",
        (scaling("ns_per_hop", "ns per hop", go(0.40), NO_SLOWER_THAN_BOOST),),
    ),
    Case(
        "skynet",
        "A tree of goroutines with ten children each and a million leaves, 1,111,111 in all. A leaf"
        " sends its number to its parent, a parent the sum of its children's; each parent has one"
        " unbuffered channel for all its children. No warm-up: the first use of the memory is part"
        " of it.",
        (scaling("ms", "ms in all", go(0.50), NO_SLOWER_THAN_BOOST),),
    ),
    Case(
        "shared_mutex",
        "Eight goroutines read a value under one shared mutex, 48 million operations in all,"
        " one in a thousand of which writes it; after a warm-up of a tenth. Boost.Fiber has no"
        " shared mutex.",
        (scaling("ns_per_operation", "ns per operation", go(0.60)),),
    ),
    Case(
        "sync_map",
        "Eight goroutines look up a thousand int keys in one map made for many goroutines, 48"
        " million operations in all, one in a thousand of which stores; after a warm-up of a"
        " tenth.",
        (scaling("ns_per_operation", "ns per operation", go(0.80)),),
    ),
    Case(
        "timer",
        "Eight goroutines each make 500,000 timers of an hour and stop them at once, after a"
        " warm-up of a tenth. In Go that includes the collection of the timers.",
        (scaling("ns_per_timer", "ns per timer", go(0.50)),),
    ),
    Case(
        "context",
        "Eight goroutines each derive 400,000 contexts that can be cancelled from the background,"
        " and cancel them at once, after a warm-up of a tenth. In Go that includes the collection"
        " of the contexts.",
        (scaling("ns_per_context", "ns per context", go(0.60)),),
    ),
    Case(
        "defer",
        "A function that calls another and then counts that it is left: by itself, by a destructor"
        " written by hand, by a scope guard (`runnel::defer`), by a deferred call of `func`; in Go"
        " by itself and by a `defer`. Each is the fastest of 300 runs of 100,000 calls, in turns,"
        " which is what the code costs without what else the machine does. The guard's and the"
        " destructor's machine code is the same but for names; two per cent between them are the"
        " clock's.",
        (
            alone("itself_ns", "ns by itself"),
            own("destructor_ns", "ns by destructor"),
            own("guard_ns", "ns by scope guard", Target(1.02, Own("destructor_ns"))),
            Metric("func_ns", "ns by func",
                   (Target(1, "go", plus=5), Target(1, Own("itself_ns"), plus=10))),
        ),
    ),
    Case(
        "panic",
        "On each P a goroutine calls a function that panics and is recovered from in the caller's"
        " `func`, again and again: the time of one panic and its recovery on its P, the fastest of"
        " 125 runs of 2,000. Beside it nothing but `throw` and `catch` over the same frame, which"
        " bounds it from below. C++ unwinds by tables, in two passes; Go only looks for the deferred"
        " calls, which is why it is several times faster. With two Ps both panic at once: libgcc,"
        " which Clang uses too, finds a frame's table by glibc's `_dl_find_object`, without a lock"
        " (GCC 12 and glibc 2.35 or newer; before these, each step takes a lock of the dynamic"
        " linker's). Nothing else is done to keep those tables warm; but the stack that a panic"
        " records is found without them, by a table of Runnel's own from return address to frame.",
        (
            scaling("ns_per_panic", "ns per panic", absolute(1500)),
            own("ns_per_throw", "ns per throw and catch", TWO_PS_NO_SLOWER),
        ),
    ),
    Case(
        "dump",
        "Writes the stacks of 100,000 goroutines that wait to receive to `/dev/null` while two others"
        " play ping-pong: the time of the first dump, debug information found and read. Runnel stops"
        " the others for a few goroutines at a time, Go (`runtime.Stack` with a large enough buffer)"
        " for all of it.",
        (Metric("ms", "ms in all", (absolute(3000),)),),
    ),
    Case(
        "machinery",
        "A program of a million channel operations, half a million values over an unbuffered channel,"
        " run with `options.deadlock` on and off, in turns: the fastest of 20 runs of each, start"
        " and end included.",
        (
            own("with_ns", "ns per operation, looking for deadlocks",
                Target(1.02, Own("without_ns"))),
            own("without_ns", "ns per operation, not looking"),
        ),
    ),
    Case(
        "thread_channel",
        "A value goes to and fro between a `std::thread`, which the runtime did not start, and a"
        " goroutine over two unbuffered channels, 50,000 times, after a warm-up of a tenth. Beside"
        " it two threads and two queues, each with a `std::mutex` and a `std::condition_variable`.",
        (scaling("ns_per_round_trip", "ns per round trip", Target(1.0, "threads")),),
    ),
    Case(
        "tcp_echo",
        "A server sends back what it gets, a goroutine for each connection. One load generator, the same for all, exchanges"
        " messages of 64 bytes over 100 connections to it; a warm-up of a tenth. With one P server and load generator"
        " have a CPU each, with two both have both.",
        (Metric("ns_per_message", "ns per message", (go(0.80),)),),
    ),
    Case(
        "http_hello",
        "A server of HTTP/1.1 answers every request with thirteen bytes; wrk asks over 100 connections for two seconds, after"
        " a warm-up of one. With one P server and wrk have a CPU each, with two both have both.",
        (Metric("ns_per_request", "ns per request", (go(0.50), Target(1.25, "nginx"),)),),
    ),
    Case(
        "http_idle",
        "The server of `http_hello`, loaded by wrk for two seconds alone, and again beside 10,000 connections that have made"
        " a request each and are left open: what each of these takes, resident pages and page tables (VmRSS + VmPTE), and the"
        " time of a request.",
        (
            Metric("bytes_each", "bytes each", (absolute(12 * 1024),)),
            Metric("ns_beside", "ns per request beside", (Target(1.05, Own("ns_alone")),)),
            alone("ns_alone", "ns per request alone"),
        ),
    ),
    Case(
        "tls_handshake",
        "A server shakes hands by TLS 1.3, with an RSA key of 2048 bits and no session resumed, and closes the connection. One"
        " load generator, the same for all, keeps 16 connections under way; a warm-up of a tenth. With an RSA key the server's"
        " part of the work is the larger by far.",
        (Metric("ns_per_handshake", "ns per handshake", (go(1.0),)),),
    ),
    Case(
        "accept_close",
        "A server accepts connections and closes them at once, each on a goroutine of its own. One load generator, the same for"
        " all, keeps 64 connections under way; a warm-up of a tenth.",
        (Metric("ns_per_connection", "ns per connection", (go(1.0),)),),
    ),
    Case(
        "sleep",
        "100,000 goroutines each sleep 10 ms ten times over, from the first start to the last end:"
        " 100 ms at the very best. No warm-up.",
        (compared("ms", "ms in all", go(0.30)),),
    ),
    Case(
        "parked_million",
        "A million goroutines each count themselves and lock a mutex that main holds: the time from"
        " the first start until all have counted, and the memory each then takes, resident pages"
        " and page tables (VmRSS + VmPTE). No warm-up: the first use of the memory is what is"
        " measured.",
        (
            compared("seconds", "s in all", go(1.0)),
            compared("bytes_each", "bytes each", absolute(4.7 * 1024)),
        ),
    ),
    Case(
        "wordfreq",
        "Not a microbenchmark but a program, `examples/wordfreq`: counts the words of 24,000 small"
        " and sixteen large files, 0.4 GB of made-up text in the page cache, with a goroutine for"
        " each file and folder. Beside it the same counting on a pool of threads written by hand,"
        " and a Go program of the same shape on Go's own maps. Time and processor time are of the"
        " whole process.",
        (
            Metric("wall_s", "s in all", (Target(1.0, "threads"), go(1.0))),
            alone("cores", "cores used"),
        ),
        sources={
            "runnel": "examples/wordfreq/main.cpp",
            "go": "bench/wordfreq/wordfreq.go",
        },
        arguments=wordfreq_arguments,
        real_work=True,
    ),
    Case(
        "idle",
        "The processor time the whole process uses in three seconds in which a thousand goroutines"
        " wait for a mutex and main sleeps. Less than one part in a thousand of a core is wanted."
        " Boost.Fiber's idle workers spin where there are two.",
        (alone("cpu_ms", "ms of processor time", absolute(3.0)),),
    ),
    Case(
        "blocking_library",
        "200 goroutines each make 20 system calls that block for 50 to 100 ms, as a library would,"
        " while one waits for a timer every millisecond: how late it is, 99 times of 100 at most."
        " Runnel's own number is for calls announced by `blocking`.",
        (
            Metric("p99_ms", "ms late, p99", (absolute(5.0),)),
            own("announced_p99_ms", "ms late, p99, announced", absolute(5.0)),
        ),
    ),
)
