"""Prints a table of numbers; each text is put together once."""


def table(rows, columns):
    """All cells, line by line."""
    width = len(f"{(rows - 1) * (columns - 1):,}")
    lines = []
    for row in range(rows):
        lines.append(" ".join([f"{row * column:,}".rjust(width) for column in range(columns)]))
    return "\n".join(lines)


print(len(table(600, 60)))
