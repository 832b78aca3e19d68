"""Ways through a graph."""

from __future__ import annotations

import networkx as nx

graph = nx.grid_2d_graph(30, 30)


def work(step: int) -> object:
    """Find some ways, by another algorithm each time."""
    start, end = (step % 30, 0), (29, step % 29)
    ways = [nx.shortest_path, nx.dijkstra_path, nx.bidirectional_dijkstra, nx.astar_path]
    return ways[step % len(ways)](graph, start, end)
