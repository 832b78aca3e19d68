"""A signal comes while the timer's function runs, and its handler uses heapsight too."""

import os
import signal

from judge import begin, drop, look, make, tell

import heapsight
from heapsight import _testing


def handle(number, frame):
    handled.append(number)
    make(f"handler_{len(handled)}")
    look("in the handler")


def work():
    turn = len(called)
    called.append(turn)
    make(f"timer_{turn}")
    os.kill(os.getpid(), signal.SIGUSR1)
    while len(handled) <= turn:
        pass
    drop(f"timer_{turn}", kept=4)
    look("in the function")


handled, called = [], []
signal.signal(signal.SIGUSR1, handle)
begin()
heapsight.start_timer(3600, work)
for turn in range(3):
    while len(called) == turn:
        _testing.advance_timer(3600)
    make(f"main_{turn}")
heapsight.stop_timer()
tell("at the end")
