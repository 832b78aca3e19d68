"""End with streams of another kind: argv[1] names the stream, argv[2] what is there in its stead."""

import sys


class Bare:
    """Nothing that a stream has."""

    def __repr__(self):
        return "<a stream>"


class WriteOnly(Bare):
    def write(self, text):
        pass


class Failing(Bare):
    def write(self, text):
        raise OSError("no room")

    flush = write


def replacement(kind, stream):
    if kind == "closed":
        stream.close()
        return stream
    return {"none": None, "bare": Bare(), "write_only": WriteOnly(), "failing": Failing()}[kind]


print("ready", flush=True)
name, kind = sys.argv[1:]
if kind == "deleted":
    delattr(sys, name)
else:
    setattr(sys, name, replacement(kind, getattr(sys, name)))
