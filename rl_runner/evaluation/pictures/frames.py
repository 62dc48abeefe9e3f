"""Frames of a video: pictures of the environment with a title above and step and return below."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from rl_runner.envs.film import Frame

WIDEST_PANEL = 960  # pixels; wide enough for environments that draw text
WIDEST_FRAME = 1440  # of several panels together
NARROWEST_PANEL = 240  # smaller pictures are enlarged, or the text would not fit
TALLEST_PANEL = 2400  # pixels, of an enlarged picture
GAP = 6
SMALLEST_LETTERS, LARGEST_LETTERS = 14, 24  # pixels
BACKGROUND, TEXT, FAINT, ENDED = "#e6ebf0", "#1b2733", "#52616f", "#9a4a00"


def panel_width(n_panels: int) -> int:
    """Return the width of each of ``n_panels`` panels side by side, in pixels."""
    width = (WIDEST_FRAME - (n_panels - 1) * GAP) // n_panels
    return max(NARROWEST_PANEL, min(WIDEST_PANEL, width))


def compose(
    frames: Sequence[Frame], titles: Sequence[str], where: str = "", *, size: int = 0
) -> Image.Image:
    """Draw panels side by side, each with its title above and step and return below.

    :param where: a line above all panels, e.g. which episode this is
    :param size: of the text in pixels; 0 chooses it by the panels' width
    """
    # Lay out: text size, a line for each text, the panels between them.
    pictures = [_enlarged(Image.fromarray(frame.pixels)) for frame in frames]
    width, height = pictures[0].size
    size = size or min(LARGEST_LETTERS, max(SMALLEST_LETTERS, round(width / 22)))
    font, line = ImageFont.load_default(size), round(1.7 * size)
    top = line * (2 if where else 1)
    total = width * len(pictures) + GAP * (len(pictures) - 1)
    sheet = Image.new("RGB", (_even(total), _even(height + top + line)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if where:
        draw.text((total / 2, line / 2), where, FAINT, font, anchor="mm")
    # Draw each panel: title, picture, state of the episode.
    for i, (frame, picture, title) in enumerate(zip(frames, pictures, titles, strict=True)):
        left = i * (width + GAP)
        middle = left + width / 2
        draw.text((middle, top - line / 2), title, TEXT, _fitting(title, size, width), anchor="mm")
        sheet.paste(picture, (left, top))
        caption = f"step {frame.step:,}    return {_short(frame.episode_return)}"
        caption += f"    {frame.ending}" if frame.ending else ""
        colour = ENDED if frame.ending else TEXT
        below = (middle, top + height + line / 2)
        draw.text(below, caption, colour, _fitting(caption, size, width), anchor="mm")
    return sheet


def _fitting(text: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font in the largest size, ``size`` at most, in which a text fits."""
    while size > 8 and ImageFont.load_default(size).getlength(text) > width - 4:
        size -= 1
    return ImageFont.load_default(size)


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = -(-NARROWEST_PANEL // picture.width)
    if factor == 1:
        return picture
    # A picture that is far taller than wide is enlarged less, and gets margins instead.
    factor = max(1, min(factor, TALLEST_PANEL // picture.height))
    size = (picture.width * factor, picture.height * factor)
    enlarged = picture.resize(size, Image.Resampling.NEAREST)
    if enlarged.width >= NARROWEST_PANEL:
        return enlarged
    panel = Image.new(picture.mode, (NARROWEST_PANEL, enlarged.height))
    panel.paste(enlarged, ((NARROWEST_PANEL - enlarged.width) // 2, 0))
    return panel


def _short(value: float) -> str:
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 0.01 else f"{value:,.2f}"


def _even(length: int) -> int:
    """Round up to an even number, as video encoders require."""
    return length + length % 2
