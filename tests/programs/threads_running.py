"""Leave the main thread while others still work; the interpreter waits for them."""

import threading

start = threading.Event()
lines = []


def work(number):
    start.wait()
    held = [str(index) * number for index in range(2000)]
    lines.append(f"thread {number} holds {sum(map(len, held))}")
    if len(lines) == 8:
        print("\n".join(sorted(lines)))


for number in range(1, 9):
    threading.Thread(target=work, args=(number,)).start()
print("main is done")
start.set()
