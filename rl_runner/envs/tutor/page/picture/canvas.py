"""A canvas for one page: smooth shapes, measured text, and a record of every text drawn.

Pillow draws shapes without antialiasing. Rounded shapes are therefore drawn once at four times
their size, scaled down and kept as masks. Text is set in DejaVu Sans, which comes with matplotlib
(a dependency); its licence is free and it has the letters of African languages.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
OVERSAMPLING = 4
ELLIPSIS = "…"


@dataclass(frozen=True)
class Style:
    """Size in pixels, colour and weight of a text."""

    size: int
    colour: Colour
    bold: bool = False

    @property
    def line_height(self) -> int:
        """Pixels from the top of one line to the top of the next."""
        return round(self.size * 1.38)

    def width(self, text: str) -> float:
        """Return the width of a line in pixels."""
        return _width(text, self.size, self.bold)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; ``right`` and ``bottom`` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    def inset(self, x: int, y: int) -> "Box":
        """Return the box without margins of x pixels left and right, y pixels top and bottom."""
        return Box(self.left + x, self.top + y, self.right - x, self.bottom - y)


@dataclass(frozen=True)
class DrawnText:
    """One line of text as it was drawn: the box of its ink and the space that it was given.

    ``key`` says what the text means (``"return"``, ``"topic 0 knowledge"``), so that tests can
    compare it with the view; it is empty for labels and prose.
    """

    text: str
    ink: Box
    room: Box
    style: Style
    key: str = ""


class Canvas:
    """An RGB image of fixed size and a record of the texts that were drawn on it."""

    def __init__(self, width: int, height: int, background: Colour) -> None:
        self.image = Image.new("RGB", (width, height), background)
        self.texts: list[DrawnText] = []
        self._draw = ImageDraw.Draw(self.image)

    @property
    def box(self) -> Box:
        """The whole canvas."""
        return Box(0, 0, *self.image.size)

    def rectangle(self, box: Box, colour: Colour, radius: int = 0) -> None:
        """Fill a rectangle with rounded corners."""
        if box.width <= 0 or box.height <= 0:
            return
        radius = min(radius, box.width // 2, box.height // 2)
        right, bottom = box.right - radius, box.bottom - radius
        self._fill(box.left + radius, box.top, right, box.bottom, colour)
        self._fill(box.left, box.top + radius, box.right, bottom, colour)
        # The two bars leave the corners open.
        if radius:
            corners = itertools.product((box.left, right), (box.top, bottom))
            for corner, mask in zip(corners, _corners(radius), strict=True):
                self.image.paste(colour, corner, mask)

    def _fill(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def card(self, box: Box, fill: Colour, border: Colour, radius: int) -> None:
        """Fill a rounded rectangle with a border of one pixel."""
        self.rectangle(box, border, radius)
        self.rectangle(box.inset(1, 1), fill, radius - 1)

    def disc(self, x: int, y: int, diameter: int, colour: Colour) -> None:
        """Fill a disc; (x, y) is the top left corner of its bounding box."""
        self.image.paste(colour, (x, y), _disc(diameter))

    def polygon(self, box: Box, corners: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon; its corners are fractions of the box, from the top left."""
        mask = _polygon(box.width, box.height, tuple(corners))
        self.image.paste(colour, (box.left, box.top), mask)

    def arc(self, box: Box, thickness: int, fraction: float, colour: Colour) -> None:
        """Draw a fraction of a ring, clockwise from the top."""
        mask = _arc(box.width, thickness, round(fraction * 360))
        self.image.paste(colour, (box.left, box.top), mask)

    def text(
        self, room: Box, text: str, style: Style, *, align: str = "left", key: str = ""
    ) -> Box:
        """Draw one line, vertically centred in ``room``, and shorten it with an ellipsis to fit.

        :param align: ``"left"``, ``"centre"`` or ``"right"``
        :returns: the box of the line's ink, as wide as the text's advance
        """
        text = shortened(text, style, room.width)
        width = style.width(text)
        slack = {"left": 0.0, "centre": (room.width - width) / 2, "right": room.width - width}
        left = room.left + round(slack[align])
        middle = (room.top + room.bottom) / 2
        # Centre the capital letters; descenders hang below.
        baseline = round(middle + style.size * 0.365)
        self._set(left, baseline, text, style)
        ascent, descent = round(style.size * 0.76), round(style.size * 0.24)
        ink = Box(left, baseline - ascent, left + round(width), baseline + descent)
        self.texts.append(DrawnText(text, ink, room, style, key))
        return ink

    def _set(self, left: int, baseline: int, text: str, style: Style) -> None:
        if text:
            mask = _letters(text, style.size, style.bold)
            corner = (left - style.size, baseline - 2 * style.size)
            self.image.paste(style.colour, corner, mask)

    def lines(self, room: Box, lines: Sequence[str], style: Style, *, key: str = "") -> int:
        """Draw lines from the top of ``room``; return the top of the next one."""
        top = room.top
        for line in lines:
            line_room = Box(room.left, top, room.right, top + style.line_height)
            self.text(line_room, line, style, key=key)
            top += style.line_height
        return top


def shortened(text: str, style: Style, width: int) -> str:
    """Return ``text``, or the beginning of it that fits into ``width`` pixels with an ellipsis."""
    if style.width(text) <= width:
        return text
    # Binary search for the longest beginning that fits.
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if style.width(text[:middle].rstrip() + ELLIPSIS) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS


def wrapped(text: str, style: Style, width: int, max_lines: int) -> list[str]:
    """Break ``text`` into at most ``max_lines`` lines; the last one is shortened if necessary."""
    words = text.split()
    lines: list[str] = []
    while words and len(lines) < max_lines:
        if len(lines) == max_lines - 1:
            lines.append(shortened(" ".join(words), style, width))
            break
        n = 1
        while n < len(words) and style.width(" ".join(words[: n + 1])) <= width:
            n += 1
        lines.append(shortened(" ".join(words[:n]), style, width))
        words = words[n:]
    return lines


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(
        str(_font_folder() / name), size, layout_engine=ImageFont.Layout.BASIC
    )


@lru_cache(maxsize=8192)
def _width(text: str, size: int, bold: bool) -> float:
    return _font(size, bold).getlength(text)


def _large(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING), 0)
    return image, ImageDraw.Draw(image)


@lru_cache(maxsize=64)
def _disc(diameter: int) -> Image.Image:
    image, draw = _large(diameter, diameter)
    draw.ellipse((0, 0, image.width - 1, image.height - 1), fill=255)
    return image.resize((diameter, diameter), Image.Resampling.BOX)


@lru_cache(maxsize=64)
def _corners(radius: int) -> tuple[Image.Image, ...]:
    """Return the quarters of a disc: top left, bottom left, top right, bottom right."""
    disc = _disc(2 * radius)
    places = itertools.product((0, radius), (0, radius))
    return tuple(disc.crop((x, y, x + radius, y + radius)) for x, y in places)


@lru_cache(maxsize=1024)
def _letters(text: str, size: int, bold: bool) -> Image.Image:
    """Return a line's mask; its origin on the baseline is at (size, 2 · size)."""
    width = math.ceil(_width(text, size, bold)) + 2 * size
    image = Image.new("L", (width, 3 * size), 0)
    draw = ImageDraw.Draw(image)
    draw.text((size, 2 * size), text, fill=255, font=_font(size, bold), anchor="ls")
    return image


@lru_cache(maxsize=256)
def _polygon(width: int, height: int, corners: tuple[tuple[float, float], ...]) -> Image.Image:
    image, draw = _large(width, height)
    draw.polygon([(x * image.width, y * image.height) for x, y in corners], fill=255)
    return image.resize((width, height), Image.Resampling.BOX)


@lru_cache(maxsize=512)
def _arc(diameter: int, thickness: int, degrees: int) -> Image.Image:
    image, draw = _large(diameter, diameter)
    size = image.width - 1
    draw.arc((0, 0, size, size), -90, degrees - 90, fill=255, width=thickness * OVERSAMPLING)
    return image.resize((diameter, diameter), Image.Resampling.BOX)
