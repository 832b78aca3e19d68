"""The raw samples of a run: one small record per measured process, kept as JSON lines.

Everything in a table is computed from these records, so a table can be made again, or
differently, from a run that is over.
"""

from __future__ import annotations

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


def load(path: Path) -> list[Sample]:
    """Read the samples of a run back."""
    with path.open(encoding="utf-8") as lines:
        return [Sample(**json.loads(line)) for line in lines if line.strip()]
