"""A thread pool whose results pile up: the futures are kept, and each keeps what its task returned.

Question: which function's results are these, and which threads made them?
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor


def fetch(page: int) -> list[str]:
    """Stand for a download."""
    return [f"row {row} of page {page}" for row in range(200)]


def crawl(pages: int) -> int:
    """Fetch all pages. Only their number is used, but the list keeps the futures."""
    pending: list[Future[list[str]]] = []
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="fetch") as pool:
        for page in range(pages):
            pending.append(pool.submit(fetch, page))
    kept.append(pending)
    return len(pending)


kept: list[object] = []
crawl(400)
assert threading.active_count() == 1
