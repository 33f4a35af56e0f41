"""READ. Tables of text for a terminal, without the start-up time of a library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from unicodedata import combining, east_asian_width

_GAP = 2  # blanks between two columns
_LEAST = 5  # what a shortened column keeps
_SHOWN = 5  # of many things in a sentence


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], width: int = 80) -> str:
    """Columns of text, numbers to the right; what is too wide is shortened, words first."""
    columns = [[_cell(value) for value in column] for column in zip(header, *rows, strict=True)]
    shown = columns[: (width + _GAP) // (_LEAST + _GAP)]
    numbers = [all(re.match(r"-?[\d.,]*( \w+)?$", text) for text in each[1:]) for each in shown]
    sizes = [max(map(_width, column)) for column in shown]
    while sum(sizes) + _GAP * (len(sizes) - 1) > width:
        order = [(size > _LEAST, not n, size) for size, n in zip(sizes, numbers, strict=True)]
        sizes[order.index(max(order))] -= 1
    fitted = [
        [_fitted(text, size, is_number) for text in column]
        for column, size, is_number in zip(shown, sizes, numbers, strict=True)
    ]
    lines = [(" " * _GAP).join(line).rstrip() for line in zip(*fitted, strict=True)]
    left = len(columns) - len(shown)
    return "\n".join([*lines, f"... and {left} more columns"] if left else lines)


def printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "?", text)


def some(texts: Sequence[str], separator: str = ", ") -> str:
    """The first of these texts, and how many more there are."""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return f"{separator.join(texts[:_SHOWN])}{more}"


def _cell(value: Any) -> str:
    text = f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)
    return printable(text)


def _fitted(text: str, size: int, is_number: bool) -> str:
    if _width(text) > size:
        while _width(text) >= size:
            text = text[:-1]
        text += "…"
    blanks = " " * (size - _width(text))
    return blanks + text if is_number else text + blanks


def _width(text: str) -> int:
    """The columns of a terminal that a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "FW" else 1 for c in text)
