"""Four programs whose memory is that of C code: what `heapsight run --native` sees beside Python's blocks.

    python native.py RESULT CASE SIZE

Each case runs once; the same data in every process.
"""

import sqlite3
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, write_result


def numpy_temporaries(size: int) -> float:
    """Expressions over arrays of 100 kB: four temporaries each."""
    import numpy

    values = numpy.arange(12_500.0)
    total = 0.0
    for step in range(size):
        total += float(((values * 2 + step) / (values + 1) - values).sum())
    return total


def lxml_parse(size: int) -> int:
    """Parse a document of some thousand elements again and again, and walk through it."""
    from lxml import etree

    rows = "".join(f"<row id='{n}'><name>name {n}</name><value unit='m'>{n * 7}</value></row>" for n in range(2000))
    text = f"<table>{rows}</table>"
    found = 0
    for _ in range(size):
        found += sum(1 for element in etree.fromstring(text).iter() if element.text)
    return found


def pandas_groupby(size: int) -> float:
    """Group a table of 100,000 rows, aggregate and join it."""
    import numpy
    import pandas

    rows = numpy.arange(100_000)
    table = pandas.DataFrame({"key": rows * 7919 % 1000, "other": rows % 17, "value": rows * 0.5})
    total = 0.0
    for step in range(size):
        means = table.groupby(["key", "other"]).agg({"value": ["mean", "max"]}).reset_index()
        joined = table.merge(table.groupby("key")["value"].sum().rename("sum"), on="key")
        total += float(joined["sum"].sum()) + len(means) + step
    return total


def sqlite(size: int) -> int:
    """Fill a database in memory, and ask it."""
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE items (key INTEGER, name TEXT, value REAL)")
    found = 0
    for step in range(size):
        rows = ((n * 7919 % 1000, f"item {n} of {step}", n * 0.5) for n in range(5000))
        base.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
        query = "SELECT key, count(*), max(name) FROM items GROUP BY key ORDER BY 2 DESC LIMIT 50"
        found += len(base.execute(query).fetchall())
        base.execute("DELETE FROM items WHERE key % 3 = 0")
    return found


CASES: dict[str, Callable[[int], Any]] = {
    "numpy_temporaries": numpy_temporaries,
    "lxml_parse": lxml_parse,
    "pandas_groupby": pandas_groupby,
    "sqlite": sqlite,
}


def main() -> None:
    """Run one case and write the result."""
    result_path, case, size = sys.argv[1:4]
    answer = CASES[case](int(size))
    write_result(result_path, {"digests": [answer], "peak_rss_bytes": memory_bytes("VmHWM")})


if __name__ == "__main__":
    main()
