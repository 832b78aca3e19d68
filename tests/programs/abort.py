"""Abort, as a failing assertion in C does."""

import os

print("before", flush=True)
os.abort()
