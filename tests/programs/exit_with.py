"""Exit in the way that the first argument says."""

import sys

values = {"none": None, "text": "a last word", "float": 1.5, "tuple": (1, 2), "huge": 10**30}
value = sys.argv[1]
print("before")
sys.exit(values[value] if value in values else int(value))
