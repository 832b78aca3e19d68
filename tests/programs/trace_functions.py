"""Record what sys.settrace and sys.setprofile see: calls of a tracer's own would show."""

import sys

events = []


def tracer(frame, event, argument):
    events.append((event, frame.f_code.co_name, frame.f_lineno))
    return tracer


def profiler(frame, event, argument):
    events.append((event, frame.f_code.co_name, getattr(argument, "__name__", None)))


def work():
    numbers = [str(number) for number in range(3)]
    return sorted(numbers, key=len)


sys.settrace(tracer)
work()
sys.settrace(None)
sys.setprofile(profiler)
work()
sys.setprofile(None)
for event in events:
    print(*event)
