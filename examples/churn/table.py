"""Prints a table of numbers, in a way that copies the text again for each cell."""


def cell(number):
    """One number, with separators."""
    return f"{number:,}".rjust(12)


def table(rows, columns):
    """All cells, line by line."""
    text = ""
    for row in range(rows):
        line = ""
        for column in range(columns):
            line = line + " " + cell(row * column)
        text = "\n".join([text, line])
    return text


print(len(table(600, 40)))
