"""Start and end 300 threads, objects of one being freed by another."""

import queue
import threading

channel = queue.SimpleQueue()


def produce(number):
    channel.put([bytes(number) for _ in range(100)])


threads = [threading.Thread(target=produce, args=(number,)) for number in range(300)]
for thread in threads:
    thread.start()
print(sum(len(item) for _ in threads for item in channel.get()))
for thread in threads:
    thread.join()
