"""Adds up sales by country. One line at a time."""

from collections import Counter


def lines():
    """The lines of a large file."""
    for number in range(200_000):
        yield f"{'DE FR IT ES PL'.split()[number % 5]};{number};{number % 97}"


def parse(text):
    """One line as a dictionary."""
    country, order, cents = text.split(";")
    return {"country": country, "order": order, "cents": int(cents)}


def totals():
    """What was sold in each country."""
    found = Counter()
    for row in map(parse, lines()):
        found[row["country"]] += row["cents"]
    return found


print(dict(totals()))
