"""Takes memory until there is none left."""

kept = []


def take():
    """Take one piece more."""
    kept.append(bytearray(1_000_000))


while True:
    take()
