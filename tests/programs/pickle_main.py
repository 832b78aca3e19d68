"""Pickle what is defined in __main__, which works only if __main__ is this program."""

import pickle
from dataclasses import dataclass


@dataclass
class Point:
    x: int
    y: int


copy = pickle.loads(pickle.dumps(Point(1, 2)))
print(copy, type(copy) is Point, Point.__module__)
