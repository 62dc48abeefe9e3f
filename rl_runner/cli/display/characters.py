"""The characters of a text that a terminal can show.

Names, errors and records come from elsewhere: control characters in them are shown as escapes and
never reach the terminal (:func:`visible`). A terminal may also have an encoding without the
typographic characters of our own texts: they are spelled out (:func:`spelled`).
"""

import codecs
import re
import unicodedata

# All control characters but tab and newline; the marks that turn the direction of text; and what
# UTF-8 cannot encode. Each of them can make a terminal show something else than what is there.
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# How the typographic characters of our own texts are spelled where a terminal's encoding (Latin-1,
# ASCII) does not have them. A Greek letter is spelled by its name, everything else is an escape.
SPELL_OUT = "rl_runner.spell_out"
SPELLINGS = {
    "—": "-",
    "–": "-",
    "−": "-",
    "─": "-",
    "╭": "+",
    "╰": "+",
    "…": "...",
    "×": "x",
    "±": "+-",
    "·": "*",
    "★": "*",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    "←": "<-",
    "≈": "~",
    "“": '"',
    "”": '"',
    "’": "'",
    "√": "sqrt",
    "∞": "inf",
    "²": "^2",
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
}


def visible(text: str) -> str:
    r"""Show control characters as escapes, e.g. ``\x1b``; newlines and tabs stay."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def spelled(text: str, encoding: str) -> str:
    """Return a text in the characters that an encoding has."""
    try:
        return text.encode(encoding, errors=SPELL_OUT).decode(encoding)
    except LookupError:  # an encoding that Python does not know
        return text


def _spell(character: str) -> str:
    if character in SPELLINGS:
        return SPELLINGS[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK SMALL LETTER "):
        return name.rpartition(" ")[2].lower()
    return character.encode("unicode_escape").decode()


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Replace what a stream cannot encode; an error handler of :mod:`codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_spell, text)), error.end


codecs.register_error(SPELL_OUT, _spell_out)
