"""A pandas table of text: a column of few different words is kept as one Python object for each row.

Question: the table is ten times larger than its file; what is in it, and who made it?
"""

from __future__ import annotations

import io

import pandas as pd


def source() -> io.StringIO:
    """Stand for a file."""
    return io.StringIO("id;city\n" + "\n".join(f"{row};city number {row % 50_000}" for row in range(100_000)))


def load(file: io.StringIO) -> pd.DataFrame:
    """Read it. With dtype={"city": "category"} each name would be there once."""
    return pd.read_csv(file, sep=";")


table = load(source())
