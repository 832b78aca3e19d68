"""The program switches tracing off and on: at once, and after a while."""

from judge import begin, drop, enable, forget, look, make, tell, wait_for_tick

import heapsight

begin()
for turn in range(3):
    make(f"before_{turn}")
    heapsight.disable()
    forget()
    make(f"while_off_{turn}", seen=False)
    drop(f"before_{turn}", kept=5)
    if turn:
        wait_for_tick()
    enable()
    look("on again")
    make(f"after_{turn}")
    drop(f"while_off_{turn}", kept=3)
    look("after")
tell("at the end")
