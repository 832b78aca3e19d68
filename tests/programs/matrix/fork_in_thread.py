"""A thread forks while the main thread waits for it; the child has a timer."""

import os
import sys
import threading
import warnings

from judge import begin, drop, leave_behind, look, make, tell, wait_for_tick

import heapsight
from heapsight import _testing

warnings.simplefilter("ignore")  # of a fork beside another thread


def child():
    leave_behind()
    look("in the child")
    drop("inherited", kept=5)
    make("of_the_child")
    fired = []
    heapsight.start_timer(3600, fired.append, (1,))
    while not fired:
        _testing.advance_timer(3600)
    grandchild = os.fork()
    if grandchild == 0:
        leave_behind()
        make("of_the_grandchild")
        drop("of_the_child")
        tell("in the grandchild")
        os._exit(0)
    status = os.waitpid(grandchild, 0)[1]
    heapsight.stop_timer()
    make("after_the_grandchild")
    tell("in the child")
    os._exit(0 if status == 0 else 1)


def fork():
    make("of_the_thread")
    pid = os.fork()
    if pid == 0:
        child()
    statuses.append(os.waitpid(pid, 0)[1])
    wait_for_tick()  # while the main thread still waits


statuses = []
begin()
make("inherited")
thread = threading.Thread(target=fork)
thread.start()
thread.join()
make("of_the_parent")
tell("at the end")
sys.exit(statuses != [0])
