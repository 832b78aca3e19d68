"""Pickling of classes with slots, with every protocol."""

from __future__ import annotations

import copyreg
import typing

__all__ = ["Slotted"]


class Slotted:
    """A class whose objects can be pickled and copied though it has slots: protocols 0 and 1 do not see them by themselves."""

    __slots__ = ()

    def __getstate__(self) -> tuple[dict[str, typing.Any] | None, dict[str, typing.Any]]:
        """Return the attributes in the dictionary, which subclasses may have, and those in slots."""
        names = copyreg._slotnames(type(self))  # type: ignore[attr-defined] # what pickle itself uses
        slots = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return getattr(self, "__dict__", None), slots
