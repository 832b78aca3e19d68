"""The parts of `heapsight.tracemalloc`, heapsight's drop-in for `tracemalloc`.

Imports go one way: snapshot → traces, filters, sums, statistic → frames → size, home. Each part is loaded when it is first used.
"""
