"""The program changes how many frames are kept."""

import judge
from judge import MODE, WAY, begin, drop, forget, look, make, tell, wait_for_tick

import heapsight


def deep(depth, name):
    if depth:
        deep(depth - 1, name)
    else:
        make(name)


begin()
deep(5, "before")
for limit in (3, 1, None, 2):
    heapsight.set_traceback_limit(limit)
    judge.limit = 1 if MODE == "frame" and WAY == "recorded" else limit  # more than the recording keeps cannot be had
    assert heapsight.get_traceback_limit() == (judge.limit or 65535)
    forget()
    look(f"limit {limit}")
    deep(5, f"limit_{limit}")
    wait_for_tick()
    drop("before", kept=judge.live()["before"][1] // 2)
    look(f"limit {limit}, after")
tell("at the end")
