"""Makes an index: for each word the pages that it is on, and where it stands there."""

WORDS = [f"word{number}" for number in range(2_000)]


def page(number):
    """The words of a page."""
    return [WORDS[(number * 31 + position * 17) % len(WORDS)] for position in range(100)]


def build(pages):
    """The index."""
    index = {}
    for number in range(pages):
        for position, word in enumerate(page(number)):
            index.setdefault(word, {}).setdefault(number, []).append(position)
    return index


index = build(1_000)
print(len(index), "words")
