"""Classes: how instances are made, descriptors, operators, and the making of classes themselves."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass, field
from typing import Any

from paths.probe import Case, probe


def instances_and_initialisers() -> None:
    class Plain:
        def __init__(self, value: int) -> None:
            self.value = value
            probe.keep(bytes(40))

    class Derived(Plain):
        def __init__(self, value: int) -> None:
            probe.keep(bytes(40))
            super().__init__(value)
            probe.keep(bytes(41))

    class Slotted:
        __slots__ = ("value",)

        def __init__(self) -> None:
            self.value = probe.keep(bytes(40))

    for number in range(4):
        # Both the instance itself and what its initialiser allocates.
        probe.keep(Plain(number))
        probe.keep(Derived(number))
        probe.keep(Slotted())


def making_instances_by_hand() -> None:
    class Custom:
        def __new__(cls, *args: Any) -> Any:
            probe.keep(bytes(40))
            return super().__new__(cls)

        def __init__(self, *args: Any) -> None:
            probe.keep(bytes(40))

        def __call__(self) -> Custom:
            probe.keep(bytes(40))
            return self

    Custom()
    Custom(1)()
    list(map(Custom, [1, 2]))
    functools.reduce(lambda made, _: type(made)(), range(2), Custom())


def nested_initialisers() -> None:
    class Node:
        def __init__(self, depth: int) -> None:
            self.child = Node(depth - 1) if depth else None
            probe.keep(bytes(40))

    Node(20)
    Node(3)


def descriptors() -> None:
    class Descriptor:
        def __get__(self, instance: Any, owner: Any) -> bytes:
            probe.keep(bytes(40))
            return b""

        def __set__(self, instance: Any, value: Any) -> None:
            probe.keep(bytes(40))

        def __delete__(self, instance: Any) -> None:
            probe.keep(bytes(40))

    class Owner:
        described = Descriptor()

        @property
        def value(self) -> int:
            probe.keep(bytes(40))
            return 1

        @value.setter
        def value(self, value: int) -> None:
            probe.keep(bytes(40))

        @functools.cached_property
        def cached(self) -> int:
            probe.keep(bytes(40))
            return 1

        @staticmethod
        def static() -> None:
            probe.keep(bytes(40))

        @classmethod
        def of_class(cls) -> None:
            probe.keep(bytes(40))

    owner = Owner()
    for _ in range(3):
        owner.described
        owner.described = b""
        del owner.described
        owner.value
        owner.value = 2
        owner.value += 1
        owner.cached
        owner.static()
        owner.of_class()
        Owner.static()


def attribute_hooks() -> None:
    class Everything:
        def __getattribute__(self, name: str) -> Any:
            probe.keep(bytes(40))
            return object.__getattribute__(self, name)

        def __getattr__(self, name: str) -> Any:
            probe.keep(bytes(40))
            return name

        def __setattr__(self, name: str, value: Any) -> None:
            probe.keep(bytes(40))

        def __dir__(self) -> list[str]:
            probe.keep(bytes(40))
            return []

    everything = Everything()
    for _ in range(3):
        everything.missing
        everything.value = 1
        hasattr(everything, "other")
        dir(everything)


class Operand:
    """Allocates in every operator."""

    def _keep(self, *_: Any) -> Any:
        probe.keep(bytes(40))
        return self

    __add__ = __radd__ = __iadd__ = __neg__ = __matmul__ = __getitem__ = __enter__ = _keep

    def __eq__(self, other: object) -> bool:
        probe.keep(bytes(40))
        return self is other

    def __lt__(self, other: object) -> bool:
        probe.keep(bytes(40))
        return False

    def __hash__(self) -> int:
        probe.keep(bytes(40))
        return 1

    def __bool__(self) -> bool:
        probe.keep(bytes(40))
        return True

    def __len__(self) -> int:
        probe.keep(bytes(40))
        return 1

    def __index__(self) -> int:
        probe.keep(bytes(40))
        return 1

    def __contains__(self, _: object) -> bool:
        probe.keep(bytes(40))
        return True

    def __repr__(self) -> str:
        probe.keep(bytes(40))
        return "Operand"

    def __format__(self, specification: str) -> str:
        probe.keep(bytes(40))
        return specification

    def __setitem__(self, key: object, value: object) -> None:
        probe.keep(bytes(40))

    def __exit__(self, *_: object) -> None:
        probe.keep(bytes(40))


def operators() -> None:
    first, second = Operand(), Operand()
    for _ in range(3):
        first + second, 1 + first, -first, first @ second
        first += second
        first[0], first[1:2]
        first[0] = 1
        first == second, first < second, 1 in first
        if first and not second:
            pass
        [0, 1][first], len(first), range(first)
        repr(first), str([first]), f"{first:x}", f"{first!r}"
        with first as _entered, second:
            pass
        {first: 1, second: 2}[second]
        sorted([first, second])
        [second].index(first) if [second] == [first] else None


def class_bodies() -> None:
    for _ in range(2):

        class Outer:
            probe.keep(bytes(40))

            class Inner:
                probe.keep(bytes(40))

            values = [probe.keep(bytes(40)) for _ in range(2)]


def metaclasses() -> None:
    class Meta(type):
        @classmethod
        def __prepare__(cls, name: str, bases: Any, /, **keywords: Any) -> dict[str, object]:
            probe.keep(bytes(40))
            return {}

        def __new__(cls, name: str, bases: Any, namespace: Any, **keywords: Any) -> Any:
            probe.keep(bytes(40))
            return super().__new__(cls, name, bases, namespace)

        def __init__(cls, name: str, bases: Any, namespace: Any, **keywords: Any) -> None:
            probe.keep(bytes(40))
            super().__init__(name, bases, namespace)

        def __call__(cls, *args: Any) -> Any:
            probe.keep(bytes(40))
            return super().__call__(*args)

        def __instancecheck__(cls, instance: object) -> bool:
            probe.keep(bytes(40))
            return True

    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            probe.keep(bytes(40))

    class Base(metaclass=Meta):
        probe.keep(bytes(40))
        named = Named()

        def __init_subclass__(cls, **keywords: Any) -> None:
            probe.keep(bytes(40))

        def __class_getitem__(cls, item: object) -> Any:
            probe.keep(bytes(40))
            return cls

    class Derived(Base, option=1):
        named = Named()

    Derived()
    isinstance(1, Derived)
    Base[int]  # type: ignore[misc]
    type("Made", (), {"named": Named()})


def generated_code() -> None:
    """Dataclasses run code that was made from strings, with files named ``<string>``."""

    @dataclass(order=True)
    class Point:
        x: int
        y: list[int] = field(default_factory=lambda: [probe.keep(bytes(40)) or 0])

        def __post_init__(self) -> None:
            probe.keep(bytes(40))

    for _ in range(3):
        Point(1)
        Point(1, [2]) < Point(2)

    class Colour(enum.Enum):
        RED = 1

        @classmethod
        def _missing_(cls, value: object) -> Any:
            probe.keep(bytes(40))
            return cls.RED

    Colour(7)


CASES: list[Case] = [
    instances_and_initialisers,
    making_instances_by_hand,
    nested_initialisers,
    descriptors,
    attribute_hooks,
    operators,
    class_bodies,
    metaclasses,
    generated_code,
]
