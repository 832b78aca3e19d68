"""networkx: a graph with a dictionary of attributes for every edge.

Question: a map of 20,000 streets takes tens of megabytes; which call makes them?
"""

from __future__ import annotations

import networkx as nx


def streets(side: int) -> nx.Graph:
    """Make a map of a town whose streets are a grid."""
    town = nx.Graph()
    for number in range(2 * side * side):
        x, y, is_avenue = number // 2 // side, number // 2 % side, number % 2
        town.add_edge((x, y), (x + 1 - is_avenue, y + is_avenue), length=1.0 + x + y, name=f"street {number}")
    return town


town = streets(100)
print(nx.shortest_path_length(town, (0, 0), (9, 9), weight="length"))
