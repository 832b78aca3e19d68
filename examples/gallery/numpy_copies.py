"""numpy arrays that are copied: fancy indexing makes a new array each time, and all are kept.

Question: which line makes the arrays? (numpy asks malloc for their data; --replace-tracemalloc makes it tell.)
"""

from __future__ import annotations

import numpy as np


def samples() -> np.ndarray:
    """Stand for a recording."""
    return np.arange(200_000, dtype=np.float64)


def windows(signal: np.ndarray) -> list[np.ndarray]:
    """Cut the signal into overlapping windows. A slice would be a view of the same memory."""
    kept = []
    for start in range(0, 10_000, 200):
        kept.append(signal[np.arange(start, start + 20_000)])
    return kept


parts = windows(samples())
