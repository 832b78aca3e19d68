"""All memory is locked, so that nothing can be given back to the system."""

import ctypes

from judge import begin, drop, enable, forget, look, make, tell

import heapsight

MCL_CURRENT, MCL_FUTURE = 1, 2

libc = ctypes.CDLL(None)
begin()
make("before", count=1000)
libc.mlockall(MCL_CURRENT | MCL_FUTURE)  # without the right to, it is a program like any other
for turn in range(3):
    heapsight.clear_traces()
    forget()
    make(f"cleared_{turn}", count=1000)
    look("cleared")
    heapsight.disable()
    forget()
    enable()
    drop(f"cleared_{turn}", kept=10)
    make(f"enabled_{turn}", count=1000)
    look("enabled again")
libc.munlockall()
tell("at the end")
