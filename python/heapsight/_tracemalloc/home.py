"""Which module the classes of the drop-in say that they are in: it changes while the drop-in replaces `tracemalloc`."""

__all__ = ["move_to", "public"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar as _TypeVar

    _Class = _TypeVar("_Class", bound=type)

_home = "heapsight.tracemalloc"
_classes: "list[type]" = []


def public(cls: "_Class") -> "_Class":
    """Decorate a class that programs know as one of `tracemalloc`, so that they and pickles find it there."""
    cls.__module__ = _home
    _classes.append(cls)
    return cls


def move_to(home: str) -> None:
    """Have all classes, those too that are loaded later, say that they are in the module ``home``."""
    global _home
    _home = home
    for each in _classes:
        each.__module__ = home
