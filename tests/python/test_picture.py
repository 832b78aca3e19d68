"""The README's picture is drawn from terminal output by a script of ours."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType
from xml.etree import ElementTree

import pytest
from harness import ROOT


@pytest.fixture
def picture() -> ModuleType:
    """Return scripts/picture.py, loaded."""
    spec = importlib.util.spec_from_file_location("picture", ROOT / "scripts" / "picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while they are made.
    import sys

    sys.modules["picture"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["picture"]
    return module


def texts(svg: str) -> list[tuple[str, dict[str, str]]]:
    """Return each drawn text with its attributes, as a reader of the file gets them."""
    root = ElementTree.fromstring(svg)
    return [(element.text or "", element.attrib) for element in root.iter() if element.tag.endswith("}text")]


def test_every_character_shown_is_drawn(picture: ModuleType) -> None:
    drawn = texts(picture.svg("plain <&> \x1b[1mbold\x1b[0m ▁▂█\r\n\r\n\x1b[?25lnext\x1b[K\n"))
    assert " ".join(text for text, _ in drawn).split() == ["plain", "<&>", "bold", "▁▂█", "next"]


def test_colours_and_weights_are_kept_until_they_are_reset(picture: ModuleType) -> None:
    [(_, red), (_, still), (_, rgb), (_, plain)] = texts(
        picture.svg("\x1b[1;31mred\nstill\x1b[0;38;2;1;2;3mrgb\x1b[mplain")
    )
    assert red["fill"] == still["fill"] == picture.PALETTE[1]
    assert red["font-weight"] == still["font-weight"] == "bold"
    assert rgb["fill"] == "#010203"
    assert "fill" not in plain


def test_what_is_selected_is_drawn_on_its_background(picture: ModuleType) -> None:
    svg = picture.svg("\x1b[36;44mblue\x1b[7mturned\x1b[27;49mplain")
    [(_, blue), (_, turned), (_, plain)] = texts(svg)
    assert [blue["fill"], turned["fill"], plain["fill"]] == [picture.PALETTE[6], picture.PALETTE[4], picture.PALETTE[6]]
    root = ElementTree.fromstring(svg)
    _, *boxes = [element.attrib["fill"] for element in root.iter() if element.tag.endswith("}rect")]
    assert boxes == [picture.PALETTE[4], picture.PALETTE[6]]


def test_the_checked_in_picture_is_one_that_the_script_drew() -> None:
    drawn = texts((ROOT / "docs" / "images" / "demo.svg").read_text(encoding="utf-8"))
    shown = " ".join(text for text, _ in drawn)
    assert shown.startswith("$ heapsight run ")
    assert "index_stdlib.py:" in shown
    assert "ast.py:" in shown


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tree", "index_stdlib.py:105 ? help"),
        ("live", "orders.py:15 ? help"),
        ("run-live", "orders.py:15 orders so far: 1000"),
    ],
)
def test_the_pictures_of_screens_are_whole(name: str, told: str) -> None:
    drawn = texts((ROOT / "docs" / "images" / f"{name}.svg").read_text(encoding="utf-8"))
    shown = " ".join(text for text, _ in drawn)
    assert all(re.search(re.escape(word), shown) for word in told.split())
