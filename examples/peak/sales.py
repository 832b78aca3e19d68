"""Adds up sales by country. Everything is read before anything is added."""

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
    rows = list(map(parse, lines()))
    found = Counter()
    for row in rows:
        found[row["country"]] += row["cents"]
    return found


print(dict(totals()))
