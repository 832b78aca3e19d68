"""What the programs of this folder share: blocks that say who made them, and what must be known of them for that reason.

The arguments are how tracing is on (`exact`, `frame`, `sampled`), who switched it on (`plain`: the program itself, `recorded`,
`followed`), a library whose threads allocate without the GIL, and the capture.
"""

import json
import os
import sys

import heapsight
from heapsight import _testing

MODE, WAY, RAW_THREADS, CAPTURE = sys.argv[1:]

#: A mean distance so short that a block of some hundred bytes is missed once in 10 ** 13 times: the figures are to be exact.
SAMPLE_BYTES = 16 if MODE == "sampled" else None
LIMIT = 1 if MODE == "frame" else None

#: A function that makes blocks: each begins with the name of the function.
MAKER = """
def {name}(kept, text, size):
    for place in range(len(kept)):
        kept[place] = text.ljust(size)
"""
LINE = 4  # where it makes them, and nothing else

made = {}  # name: those of its blocks that are live
abroad = {}  # name: how many are live of blocks of 1000 bytes that are out of reach, in another interpreter
paths = {}  # name: files of the call path, most recent first
counts = {}  # name: bytes and blocks allocated
unseen = set()  # names that the program has had forgotten
elsewhere = set()  # names that another process's capture has
limit = LIMIT
SEPARATOR = b"|"


def enable():
    """Switch tracing on as the mode says. A program that is recorded has a limit of its own from the first time on."""
    heapsight.set_traceback_limit(LIMIT)
    heapsight.enable(sample_bytes=SAMPLE_BYTES)


def begin():
    """Begin to trace, unless somebody else has."""
    if WAY == "plain":
        enable()


def make(name, count=20, size=1000, seen=True):
    """Make blocks by a function of this name, in a file of this name, which is gone afterwards."""
    space = {}
    exec(compile(MAKER.format(name=name), name, "exec"), space)
    kept = [None] * count
    made[name] = kept
    counts[name] = (count * block_size(size), count)
    paths[name] = [name, *callers()]
    if not seen:
        unseen.add(name)
    space.pop(name)(kept, name.encode() + SEPARATOR, size)


def block_size(size):
    """Return the size of the block that holds so many bytes."""
    return bytes(size).__sizeof__()


def callers():
    """Return the files of the calling function and its callers."""
    frame, names = sys._getframe(1), []
    while frame is not None:
        names.append(frame.f_code.co_filename)
        frame = frame.f_back
    return names


def drop(name, kept=0):
    """Free all blocks but so many."""
    del made[name][kept:]


def found_abroad(name, count):
    """Note how many blocks live that were made by another interpreter: all of them at first."""
    counts.setdefault(name, (count * block_size(1000), count))
    abroad[name] = count


def forget():
    """Note that what was made so far is not to be seen by the program any more, but by a recording."""
    unseen.update(made, abroad)


def leave_behind():
    """Note, in a child, that what was made so far belongs to its parent's capture."""
    if WAY == "followed":
        elsewhere.update(made, abroad)
        unseen.update(made, abroad)


def wait_for_tick():
    """Wait until the recorder, if there is one, has written something."""
    if WAY != "plain":
        before = os.stat(CAPTURE).st_size
        while os.stat(CAPTURE).st_size == before:
            os.sched_yield()


def live():
    """Return bytes and blocks by name, as they must be."""
    figures = {name: [sum(each.__sizeof__() for each in blocks), len(blocks)] for name, blocks in made.items()}
    return {**figures, **{name: [count * block_size(1000), count] for name, count in abroad.items()}}


def seen():
    """Return the same as heapsight tells the program."""
    lines = {name: stats[LINE] for name, stats in heapsight.get_stats().items() if name in counts and LINE in stats}
    return {name: [each.size, each.count] for name, each in lines.items()}


def wrong_traces():
    """Return what is told falsely of single blocks: each says itself who made it."""
    wrong = []
    for name, blocks in made.items():
        for block in blocks:
            assert block.startswith(name.encode() + SEPARATOR)
            trace = heapsight.get_object_trace(block)
            told = trace and [trace.size, [frame.filename for frame in trace.traceback]]
            true = None if name in unseen else [block.__sizeof__(), paths[name][:limit]]
            if told != true:
                wrong.append([name, told, true])
    return wrong


def look(moment):
    """Compare what heapsight tells the program now with what is so; say it if they differ."""
    if not heapsight.is_enabled():
        return
    must = {name: figures for name, figures in live().items() if name not in unseen and figures[1]}
    told = {name: figures for name, figures in seen().items() if figures[1]}
    problems = _testing.audit()
    if told != must or problems or wrong_traces():
        say(moment=moment, told=told, must=must, audit=problems, traces=wrong_traces()[:3])


def tell(moment):
    """Look for the last time, and say what this process's capture must have."""
    look(moment)
    say(capture={name: [*counts[name], *figures] for name, figures in live().items() if name not in elsewhere})


def say(**what):
    """Write a line, in one piece: several processes do."""
    os.write(1, (json.dumps({"pid": os.getpid(), **what}) + "\n").encode())
