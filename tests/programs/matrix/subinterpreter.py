"""A sub-interpreter, with the main one's GIL or with its own, makes blocks and ends; so does another one after it."""

import sys

from judge import MAKER, begin, found_abroad, look, make, tell

INSIDE = """
space, kept, name = {{}}, [None] * 20, {name!r}
exec(compile({maker!r}.format(name=name), name, "exec"), space)
space[name](kept, name.encode(), 1000)
"""


def create(isolated):
    if sys.version_info >= (3, 13):
        return interpreters.create("isolated" if isolated else "legacy")
    return interpreters.create(isolated=isolated)


try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

run = getattr(interpreters, "run_string", None) or interpreters.exec
begin()
make("before")
for isolated in (False, True):
    for turn in range(2):
        name = f"inside_{isolated}_{turn}"
        interpreter = create(isolated)
        failed = run(interpreter, INSIDE.format(name=name, maker=MAKER))
        assert failed is None, failed
        found_abroad(name, 20)
        look("inside")
        interpreters.destroy(interpreter)
        found_abroad(name, 0)
        look("after")
        make(f"after_{isolated}_{turn}")
tell("at the end")
