"""Text for wordfreq: the same on every machine, in many small files and a few large ones."""

import functools
import random
import shutil
from pathlib import Path

FILES = 24_000
BYTES_MAX = 64 << 10
LARGE_FILES = 16
LARGE_BYTES = 8 << 20
FILES_PER_FOLDER = 40
VOCABULARY = 60_000
POOL_BYTES = 16 << 20


@functools.cache
def corpus(parent: Path, scale: float) -> Path:
    """The folder with the text: made if it is not there yet, and in the page cache."""
    folder = parent / f"corpus-{int(FILES * scale)}"
    if not folder.exists():
        unfinished = parent / "corpus-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        write(unfinished, scale)
        unfinished.rename(folder)
    for path in folder.rglob("*.txt"):
        path.read_bytes()
    return folder


def write(folder: Path, scale: float) -> None:
    dice = random.Random(20_001)
    pool = text(dice)
    files = max(1, int(FILES * scale))
    for n in range(files):
        # Sizes spread evenly over orders of magnitude, as those of real files about are.
        write_slice(folder, n, pool, int(256 * (BYTES_MAX / 256) ** dice.random()), dice)
    for n in range(files, files + max(1, int(LARGE_FILES * scale))):
        write_slice(folder, n, pool, LARGE_BYTES, dice)


def write_slice(folder: Path, n: int, pool: bytes, size: int, dice: random.Random) -> None:
    group = n // FILES_PER_FOLDER
    path = folder / f"{group % 16:x}" / f"{group // 16}" / f"{n}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    start = dice.randrange(len(pool) - size)
    path.write_bytes(pool[start:start + size])


def text(dice: random.Random) -> bytes:
    """Words whose frequencies follow Zipf's law."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = [1 / (rank + 2) for rank in range(len(letters))]
    words = [
        "".join(dice.choices(letters, weights, k=2 + min(int(dice.expovariate(0.2)), 22)))
        for _ in range(VOCABULARY)
    ]
    frequencies = [1 / (rank + 3) for rank in range(VOCABULARY)]
    ends = [" ", " ", " ", " ", " ", " ", ", ", ".\n"]
    pieces, size = [], 0
    while size < POOL_BYTES:
        batch = "".join(
            word + end for word, end in zip(dice.choices(words, frequencies, k=100_000),
                                            dice.choices(ends, k=100_000))
        )
        pieces.append(batch)
        size += len(batch)
    return "".join(pieces).encode()
