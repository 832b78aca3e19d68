"""lxml: a feed is read entry by entry, but what is taken out of it is kept.

Question: the tree is cleared after each entry; what is still there?
"""

from __future__ import annotations

import io

from lxml import etree


def feed() -> io.BytesIO:
    """Stand for a large feed."""
    entries = (
        f"<entry id='{number}'><title>Entry {number}</title><text>{number:0500}</text></entry>"
        for number in range(20_000)
    )
    return io.BytesIO(f"<feed>{''.join(entries)}</feed>".encode())


def index(source: io.BytesIO) -> dict[str, tuple[str, str]]:
    """Take title and text of each entry. The title would do."""
    found = {}
    for _, entry in etree.iterparse(source, tag="entry"):
        found[entry.get("id")] = (entry.findtext("title"), entry.findtext("text"))
        entry.clear()
    return found


entries = index(feed())
