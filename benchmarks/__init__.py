"""heapsight's benchmarks: what tracing costs, measured beside the other tools in one run."""
