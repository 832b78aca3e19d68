"""The program forgets its traces."""

from judge import begin, drop, forget, look, make, tell, wait_for_tick

import heapsight

begin()
for turn in range(3):
    make(f"before_{turn}")
    heapsight.clear_traces()
    forget()
    look("cleared")
    make(f"after_{turn}")
    wait_for_tick()
    drop(f"before_{turn}", kept=5)
    look("after")
tell("at the end")
