"""Takes orders for a minute, and keeps every one of them."""

import time


class Shop:
    """Where orders arrive."""

    def __init__(self):
        self.taken = []

    def take(self, number):
        """Take an order of some lines."""
        lines = list(map(f"article {number}-{{}}".format, range(number % 50)))
        order = {"number": number, "lines": lines, "form": bytearray(20_000)}
        self.taken.append(order)


shop = Shop()
for number in range(1, 6_001):
    shop.take(number)
    if number % 100 == 0:
        print("orders so far:", number, flush=True)
    time.sleep(0.01)
