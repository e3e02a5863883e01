"""The few shapes that the figures are made of, as strings of SVG."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

INK, SOFT, LINE, PAPER = "#1c2430", "#5b6675", "#c9d1da", "#ffffff"
BENIGN, ATTACK, ACCENT = "#2a7f9e", "#c2452d", "#7a5cc0"
_ATTRIBUTES = {
    "weight": "font-weight",
    "anchor": "text-anchor",
    "family": "font-family",
    "space": "xml:space",
}
FONT = "font-family='Helvetica, Arial, sans-serif'"


def text(x: float, y: float, content: str, size: float = 13, color: str = INK, **more: str) -> str:
    """One line of text; `weight`, `anchor`, `family` and `space` may be given."""
    style = "".join(f" {name}='{more[key]}'" for key, name in _ATTRIBUTES.items() if key in more)
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{color}'{style}>{escape(content)}</text>"


def legend(x: float, y: float, *words: tuple[str, str]) -> str:
    """One line of (text, color) pairs."""
    spans = "".join(f"<tspan fill='{color}'>{escape(content)} </tspan>" for content, color in words)
    return f"<text xml:space='preserve' x='{x:.1f}' y='{y:.1f}' font-size='12.5'>{spans}</text>"


def box(x: float, y: float, width: float, height: float, fill: str = PAPER, edge: str = LINE) -> str:
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' rx='6' fill='{fill}' stroke='{edge}'/>"


def curve(points: Iterable[tuple[float, float]], color: str, fill: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    if fill:
        return f"<polygon points='{path}' fill='{color}' fill-opacity='0.15'/>"
    return f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='2'/>"


def line(x1: float, y1: float, x2: float, y2: float, color: str = LINE, dash: str = "") -> str:
    dashed = f" stroke-dasharray='{dash}'" if dash else ""
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{color}' stroke-width='1.5'{dashed}/>"


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{SOFT}' stroke-width='1.5' "
        "marker-end='url(#tip)'/>"
    )


def page(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """A whole figure on white, so that it reads on a dark page as well."""
    tip = (
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
        f"<path d='M0,0 L8,4 L0,8 z' fill='{SOFT}'/></marker></defs>"
    )
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' role='img' {FONT}>\n"
        f"<title>{escape(title)}</title>\n{tip}\n<rect width='{width}' height='{height}' fill='{PAPER}'/>\n{body}\n</svg>\n"
    )
