"""HTML that cannot be broken out of: whatever is not markup is escaped where it is put in."""

from html import escape
from typing import Final

_VOID: Final = frozenset(("input", "link", "meta", "rect", "line"))
_CONTROLS: Final = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "�")

Attribute = str | int | bool | None


class Markup(str):
    """HTML that this module made."""

    __slots__ = ()


def element(tag: str, *children: object, **attributes: Attribute) -> Markup:
    """Return an element; children that are no Markup, and all attributes, are escaped.

    Underscores in names of attributes are hyphens (a last one is left out: `class_`), True is an
    attribute without a value, False and None are left out. Children that are None are left out.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{named}>")
    return Markup(f"<{tag}{named}>{together(*children)}</{tag}>")


def together(*children: object) -> Markup:
    """Return the children one after the other, those that are no Markup escaped."""
    return Markup("".join(map(_safe, children)))


def _safe(child: object) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Markup) else _text(child)


def _text(value: object) -> str:
    """Control characters may not stand in HTML, not even escaped; nor may lone surrogates."""
    text = str(value).translate(_CONTROLS)
    return escape(text.encode(errors="replace").decode(), quote=True)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    key = name.rstrip("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{_text(value)}"'
