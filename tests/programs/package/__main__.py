"""Print what -m gives a program."""

import sys

from . import WORD

print(WORD, __name__, __package__, __spec__.name, sys.argv[1:])
