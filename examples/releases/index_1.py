"""Release 1: for each word the numbers of the pages that it is on."""

WORDS = [f"word{number}" for number in range(2_000)]


def page(number):
    """The words of a page."""
    return [WORDS[(number * 31 + position * 17) % len(WORDS)] for position in range(100)]


def build(pages):
    """The index."""
    index = {}
    for number in range(pages):
        for word in page(number):
            index.setdefault(word, set()).add(number)
    return index


index = build(1_000)
print(len(index), "words")
