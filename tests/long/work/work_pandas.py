"""Columns of text, grouped and sorted."""

from __future__ import annotations

import aiohttp  # noqa: F401
import pandas as pd
import sqlalchemy  # noqa: F401

rows = pd.DataFrame({"name": [f"name {row % 97}" for row in range(2000)], "value": range(2000)})


def work(step: int) -> object:
    """Ask one question of the table."""
    kept = rows[rows["value"] > step % 100]
    return kept.groupby("name")["value"].sum().sort_values().head().to_dict()
