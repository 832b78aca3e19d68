"""The raw samples of a run: one small record per measured process, kept as JSON lines.

Everything in a table is computed from these records, so a table can be made again, or
differently, from a run that is over. While a run lasts they are plain text, so that an
interrupted one keeps what it measured; after it they are compressed.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """What one measured process said.

    ``values`` carries its units in its names: ``seconds`` and ``cpu_seconds`` are per loop,
    ``*_bytes`` are bytes. ``problem`` is empty for a good sample; otherwise it says why the
    sample has no values (a time-out, a failed check).
    """

    kind: str
    case: str
    tool: str
    round: int
    values: dict[str, float] = field(default_factory=dict)
    problem: str = ""


class Store:
    """Appends samples to a file as they come, so that an interrupted run keeps what it measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep a sample, in memory and on disk."""
        self.samples.append(sample)
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(sample), sort_keys=True) + "\n")


#: The file of samples in a run's folder, while it is written and after it was compressed.
PLAIN, COMPRESSED = "samples.jsonl", "samples.jsonl.gz"


def load(run: Path) -> list[Sample]:
    """Read the samples of a run back from its folder. Empty if nothing was measured."""
    if (run / COMPRESSED).exists():
        text = gzip.decompress((run / COMPRESSED).read_bytes()).decode()
    elif (run / PLAIN).exists():
        text = (run / PLAIN).read_text(encoding="utf-8")
    else:
        return []
    return [Sample(**json.loads(line)) for line in text.splitlines() if line.strip()]


def compress(run: Path) -> None:
    """Compress the samples of a run that is over. The same samples always make the same file."""
    plain = run / PLAIN
    # No time of the day in the header.
    (run / COMPRESSED).write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()
