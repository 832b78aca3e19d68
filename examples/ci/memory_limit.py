"""Fails if a recorded program had more memory at its peak than it may: memory_limit.py FILE MIB."""

import json
import subprocess
import sys

capture, limit = sys.argv[1], float(sys.argv[2])
told = subprocess.run(["heapsight", "stats", "--json", capture], stdout=subprocess.PIPE, check=True)
peak = json.loads(told.stdout)["peak"]["bytes"] / 2**20
if peak > limit:
    sys.exit(
        f"{capture}: {peak:.1f} MiB at the peak, {limit:g} MiB are allowed; see heapsight top --metric peak {capture}"
    )
print(f"{capture}: {peak:.1f} MiB at the peak, {limit:g} MiB are allowed")
