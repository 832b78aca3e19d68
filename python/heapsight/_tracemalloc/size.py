"""Sizes as `tracemalloc` writes them."""


def size_text(size: float, sign: bool) -> str:
    """Return the size with the unit that suits it: three digits, or four and more; ``sign`` asks for a plus."""
    plus = "+" if sign else ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if unit != "B" and abs(size) < 100:
            return f"{size:{plus}.1f} {unit}"
        if abs(size) < 10 * 1024:
            return f"{size:{plus}.0f} {unit}"
        size /= 1024
    return f"{size:{plus}.{1 if abs(size) < 100 else 0}f} TiB"
