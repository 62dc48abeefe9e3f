"""What a Python source says, without running it: the hash of its code, and what it imports."""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

HASH_LENGTH = 16


def hash_source(source: bytes) -> str:
    """Return 16 hex digits over a source file; comments, blank lines and line ends do not count."""
    try:
        text = _without_comments(source)
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):  # compiled, for example
        return hashlib.sha256(source).hexdigest()[:HASH_LENGTH]
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _without_comments(source: bytes) -> str:
    """Cut comments out by their positions, and leave out lines that hold nothing else."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    text = io.StringIO(source.decode(encoding), newline=None).read()
    lines = text.split("\n")
    left_out = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        row, column = token.start[0] - 1, token.start[1]
        if token.type == tokenize.COMMENT:
            lines[row] = lines[row][:column].rstrip()
        elif token.type == tokenize.NL and not lines[row].strip():
            left_out.add(row)
    return "\n".join(line for row, line in enumerate(lines) if row not in left_out).rstrip()


def imports_of(source: Path, name: str, *, is_package: bool) -> Iterator[str]:
    """Yield the names of all modules that a source may import, with the packages they are in."""
    try:
        tree = ast.parse(source.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            levels = package.split(".") if package else []
            outer = levels[: len(levels) - node.level + 1] if node.level else []
            base = ".".join([*outer, *([node.module] if node.module else [])])
            found = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
        else:
            continue
        for each in found:
            yield from with_parents(each)


def with_parents(name: str) -> Iterator[str]:
    """Yield ``a``, ``a.b``, ``a.b.c`` for ``a.b.c``: importing it runs all of them."""
    parts = name.split(".")
    yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))
