"""Pillow: thumbnails that keep the bytes of the whole image.

Question: a thousand thumbnails of 1 kB take hundreds of megabytes; of what?
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image


@dataclass
class Thumbnail:
    """A small image and where it came from."""

    image: Image.Image
    original: bytes


def thumbnail(number: int) -> Thumbnail:
    """Make one. The bytes of the original are kept in case somebody asks for them."""
    original = Image.new("RGB", (320, 240), (number % 256, 0, 0))
    small = original.resize((16, 12))
    return Thumbnail(small, original.tobytes())


gallery = [thumbnail(number) for number in range(100)]
