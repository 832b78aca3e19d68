"""Leave without any clean-up."""

import os

held = [bytes(100) for _ in range(10_000)]
print("before", flush=True)
os._exit(7)
