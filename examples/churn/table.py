"""Prints a table of numbers, in a way that copies the text again for each cell."""


def widest(rows, columns):
    """How wide the widest cell is."""
    width = 0
    for row in range(rows):
        for column in range(columns):
            width = max(width, len(f"{row * column:,}"))
    return width


def table(rows, columns):
    """All cells, line by line."""
    width = widest(rows, columns)
    text = ""
    for row in range(rows):
        line = ""
        for column in range(columns):
            line = line + " " + f"{row * column:,}".rjust(width)
        text = "\n".join([text, line])
    return text


print(len(table(600, 60)))
