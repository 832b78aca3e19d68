"""Exit while daemon threads allocate and free as fast as they can."""

import threading

ready = threading.Barrier(5)


def churn():
    ready.wait()
    while True:
        [bytes(size) for size in range(0, 2000, 7)]
        {str(key): [key] for key in range(50)}


for _ in range(4):
    threading.Thread(target=churn, daemon=True).start()
ready.wait()
print("main is done")
