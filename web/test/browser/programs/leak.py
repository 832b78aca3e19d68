"""A service that forgets to forget: three threads, a burst, a leak, and a line that looks like a secret."""

import json
import threading
import time

API_TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ"  # of nobody
CACHE = {}


class Session:
    def __init__(self, user):
        self.user = user
        self.history = [bytes(200) for _ in range(20)]


def handle(number):
    session = Session(f"user-{number}")
    CACHE[number] = session  # never removed
    return json.dumps({"user": session.user, "numbers": list(range(50))})


def worker(start):
    for number in range(start, start + 600):
        handle(number)
        time.sleep(0.001)


def burst():
    rows = [bytearray(1000) for _ in range(10_000)]
    time.sleep(0.2)
    return len(rows)


def nest(depth):
    if depth > 120:
        return [bytes(50) for _ in range(1000)]
    return [depth, bytes(300), nest(depth + 1)]


def main():
    threads = [threading.Thread(target=worker, args=(k * 10_000,), name=f"worker-{k}") for k in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    burst()
    for thread in threads:
        thread.join()
    return nest(0)


kept = main()
time.sleep(0.2)
