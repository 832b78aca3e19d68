"""Leave objects whose finalisers allocate, print and import while the interpreter is being torn down."""

import sys
import threading
import weakref


class Loud:
    def __init__(self, name):
        self.name = name
        self.me = self

    def __del__(self):
        held = [str(index) for index in range(1000)]
        import decimal

        print(self.name, len(held), decimal.Decimal(3) / 2, file=sys.stderr)


kept = Loud("kept in the module")
sys.kept = Loud("kept in sys")
local = threading.local()
local.kept = Loud("kept by the thread")
finalizer = weakref.finalize(kept, print, "weakref.finalize")
print("main is done")
