"""Makes random Python programs that allocate, move and free memory in every way there is.

``source(seed)`` is the text of a module with the functions ``f0`` … and ``g0`` … (generators). They call each
other, and use the methods of the `Heap` that is their global ``heap`` for all that has an effect.
"""

from __future__ import annotations

import random

FUNCTIONS = 8
GENERATORS = 4

#: Expressions whose value is a new object. Numbers above 256 are blocks of their own, so there are only a few.
OBJECTS = [
    "bytes({n})",
    "bytearray({n})",
    "[None] * {n}",
    "list(range(250, 260))",
    "'x' * {n}",
    "'\\u20ac' * {n}",
    "tuple(range({few}))",
    "{{key: key for key in range({few})}}",
    "set(range({n} % 100))",
    "object()",
    "Instance(depth)",
    "Slotted()",
    "float({n}) / 3",
    "10 ** {n}",
    "(lambda: {n})",
    "[bytes(each) for each in range(3)]",
    "sorted(range(9), key=lambda each: -each)",
    "[*map(str, range(5))]",
]

SIMPLE = [
    "heap.keep({object})",
    "heap.keep({object})",
    "heap.keep({object})",
    "heap.drop()",
    "heap.drop()",
    "heap.grow({n})",
    "heap.shrink()",
    "heap.cycle()",
    "heap.allocate({n})",
    "heap.allocate_zeroed({n})",
    "heap.reallocate({n})",
    "heap.reallocate({n})",
    "heap.free()",
    "heap.free()",
    "heap.resume()",
    "heap.give_away()",
    "heap.collect()",
    "{function}(depth - 1)",
    "{function}(depth - 1)",
    "heap.start(g{generator}(depth - 1))",
    "heap.in_thread({function}, depth - 1)",
    "heap.call_back({function}, depth - 1)",
    "[heap.keep({object}) for _ in range(2)]",
]

#: Statements with a body inside.
COMPOUND = [
    "for _ in range({few}):",
    "for _ in g{generator}(depth - 1):",
    "if heap.coin():",
    "with heap:",
    "while heap.coin():",
]


class Writer:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []

    def fill(self, template: str) -> str:
        """Put random things into a template's gaps."""
        pick = self.random
        # Around 512 bytes pymalloc hands over to malloc; some blocks are much bigger.
        size = pick.choice([1, 3, 8, 24, 60, 120, 500, 600, 5000])
        made = pick.choice(OBJECTS).format(n=size, few=pick.randint(1, 30))
        return template.format(
            object=made,
            n=size,
            few=pick.randint(1, 3),
            function=f"f{pick.randrange(FUNCTIONS)}",
            generator=pick.randrange(GENERATORS),
        )

    def body(self, indent: int, depth: int, *, generator: bool) -> None:
        """Write a few statements."""
        pick = self.random
        margin = "    " * indent
        for _ in range(pick.randint(2, 5)):
            kind = pick.random()
            if generator and kind < 0.2:
                self.lines.append(f"{margin}yield {pick.randrange(9)}")
            elif depth and kind < 0.4:
                self.lines.append(margin + self.fill(pick.choice(COMPOUND)))
                self.body(indent + 1, depth - 1, generator=generator)
            elif depth and kind < 0.5:
                self.attempt(indent, depth, generator=generator)
            else:
                self.lines.append(margin + self.fill(pick.choice(SIMPLE)))

    def attempt(self, indent: int, depth: int, *, generator: bool) -> None:
        """Write a try statement."""
        margin = "    " * indent
        self.lines.append(f"{margin}try:")
        self.body(indent + 1, depth - 1, generator=generator)
        if self.random.random() < 0.5:
            self.lines.append(f"{margin}    raise Oops(depth)")
        if self.random.random() < 0.7:
            self.lines.append(f"{margin}except Oops:")
        else:
            self.lines.append(f"{margin}except (KeyError, Oops) as error:")
            self.lines.append(f"{margin}    heap.keep(error.args)")
        self.body(indent + 1, depth - 1, generator=generator)
        if self.random.random() < 0.5:
            self.lines.append(f"{margin}finally:")
            self.body(indent + 1, depth - 1, generator=generator)

    def function(self, name: str, *, generator: bool) -> None:
        """Write a function that does nothing once it is deep enough or the heap has had enough."""
        self.lines += [f"def {name}(depth):", "    if depth <= 0 or heap.spent():", "        return"]
        if generator:
            self.lines.append("    yield 0")
        self.body(1, 3, generator=generator)
        if not generator and self.random.random() < 0.3:
            # An exception that nobody in the function catches.
            self.lines += ["    if heap.coin():", "        raise Oops(depth)"]
        self.lines.append("")


def source(seed: int) -> str:
    """Return the text of the program that belongs to `seed`."""
    writer = Writer(seed)
    for number in range(FUNCTIONS):
        writer.function(f"f{number}", generator=False)
    for number in range(GENERATORS):
        writer.function(f"g{number}", generator=True)
    return "\n".join(writer.lines)
