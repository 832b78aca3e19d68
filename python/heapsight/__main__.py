"""``python -m heapsight`` is the command line."""

import sys

from heapsight._cli import main

if __name__ == "__main__":
    sys.exit(main())
