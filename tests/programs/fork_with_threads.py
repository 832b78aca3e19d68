"""Fork again and again while other threads allocate: a lock held at the fork would hang a child."""

import os
import threading
import warnings

warnings.simplefilter("ignore")  # 3.12 and newer rightly say that this is unwise
stop = threading.Event()


def churn():
    while not stop.is_set():
        {str(key): [key] * 20 for key in range(100)}


threads = [threading.Thread(target=churn) for _ in range(3)]
for thread in threads:
    thread.start()
good = 0
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        own = [bytearray(size) for size in range(1000)]
        del own
        os._exit(0)
    good += os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
print(good)
