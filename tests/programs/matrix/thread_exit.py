"""Threads make blocks and end; others, and the main thread, free them."""

import threading

from judge import begin, drop, look, make, tell


def work(name, other):
    make(name)
    if other is not None:
        drop(other, kept=4)


begin()
for turn in range(5):
    threads = [
        threading.Thread(target=work, args=(f"thread_{turn}_{index}", f"thread_{turn - 1}_{index}" if turn else None))
        for index in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look("threads have ended")
    drop(f"thread_{turn}_0", kept=1)
tell("at the end")
