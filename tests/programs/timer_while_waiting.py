"""The main thread waits for something that only the timer's function brings about. argv[1] names what it waits in.

The clock is moved on by another thread when the main thread is about to wait: so late that nobody waits any more for the main thread to come.
"""

import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time

import heapsight
from heapsight import _testing

HOUR = 3600

event, lock, values, condition = threading.Event(), threading.Lock(), queue.Queue(), threading.Condition()
read_end, write_end = os.pipe()
to_close = []


def in_join():
    thread = threading.Thread(target=event.wait)
    thread.start()
    return thread.join, event.set


def in_event():
    return event.wait, event.set


def in_lock():
    lock.acquire()
    return lock.acquire, lock.release


def in_queue():
    return values.get, lambda: values.put(1)


def in_condition():
    def notify():
        with condition:
            condition.notify()

    condition.acquire()
    return condition.wait, notify


def in_select():
    return lambda: select.select([read_end], [], []), lambda: os.write(write_end, b"x")


def in_poll():
    poll = select.poll()
    poll.register(read_end)
    return poll.poll, lambda: os.write(write_end, b"x")


def in_read():
    return lambda: os.read(read_end, 1), lambda: os.write(write_end, b"x")


def in_recv():
    left, right = socket.socketpair()
    to_close.extend([left, right])
    return lambda: left.recv(1), lambda: right.send(b"x")


def in_child():
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    return child.wait, child.stdin.close


def in_sleep():
    return lambda: time.sleep(HOUR), lambda: sys.exit(7)


def in_lock_to_exit():
    lock.acquire()
    return lock.acquire, lambda: sys.exit(7)


def in_select_to_exit():
    return lambda: select.select([read_end], [], []), lambda: sys.exit(7)


def in_join_to_interrupt():
    def interrupt():
        raise KeyboardInterrupt

    thread = threading.Thread(target=event.wait, daemon=True)
    thread.start()
    return thread.join, interrupt


def main_waits_at(line):
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame.f_back is not None:
        frame = frame.f_back
    return frame.f_lineno == line


def move_clock(line):
    while not main_waits_at(line):
        pass
    _testing.advance_timer(2 * HOUR)
    _testing.advance_timer(1)


if __name__ == "__main__":
    wait, wake = globals()[sys.argv[1]]()
    heapsight.start_timer(HOUR, wake)
    try:
        threading.Thread(target=move_clock, args=(sys._getframe().f_lineno + 1,), daemon=True).start()
        wait()
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        print("went on", flush=True)
        for each in to_close:
            each.close()
