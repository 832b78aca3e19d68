"""What a test may ask about memory."""

import heapsight

CACHE = {}


def handle(number):
    """What is to be tested."""
    CACHE[number % 10] = [number] * 100
    return number


# %% test
def test_handling_leaves_nothing_behind():
    heapsight.enable()
    try:
        for number in range(100):  # warm up
            handle(number)
        before = heapsight.get_traced_memory()
        for number in range(1_000):
            handle(number)
        grown = heapsight.get_traced_memory() - before
    finally:
        heapsight.disable()
    assert grown < 10_000
