"""Prints a table of numbers; each text is put together once."""


def cell(number):
    """One number, with separators."""
    return f"{number:,}".rjust(12)


def table(rows, columns):
    """All cells, line by line."""
    lines = [" ".join(cell(row * column) for column in range(columns)) for row in range(rows)]
    return "\n".join(lines)


print(len(table(600, 40)))
