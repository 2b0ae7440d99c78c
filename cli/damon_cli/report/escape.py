"""Names from the cluster, made harmless for what they are written into. Pure."""

import html
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@")
_MARKDOWN: Final = frozenset(" /-.,:;()%")
"""Punctuation that means nothing in the middle of a Markdown table's cell."""


def plain(text: str) -> str:
    """Return text in one line, without control characters and what is no character at all."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def xml(text: str) -> str:
    """Return text for HTML and SVG, in elements and in quoted attributes."""
    return html.escape(plain(text), quote=True)


def markdown(text: str) -> str:
    """Return text for a cell of a Markdown table; character references are never structure."""
    return "".join(
        each if each.isalnum() or each in _MARKDOWN else f"&#{ord(each)};" for each in plain(text)
    )


def cell(text: str) -> str:
    """Return text for a spreadsheet, which takes some first characters for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
