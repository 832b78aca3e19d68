"""Warn, leave a file open and call something deprecated."""

import sys
import warnings

warnings.warn("a warning of the program's", RuntimeWarning)
file = open(sys.argv[0])
del file
print("main is done")
