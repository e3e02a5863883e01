"""The few shapes that the figures are made of, as strings of SVG that read on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple


class Color(NamedTuple):
    """A color by its part in the figures, as it is on a light and on a dark page."""

    name: str
    light: str
    dark: str


INK, SOFT = Color("ink", "#1c2430", "#e6e9ee"), Color("soft", "#5b6675", "#a3adba")
LINE, PAPER = Color("line", "#c9d1da", "#48505c"), Color("paper", "#ffffff", "#1b1f27")
PANEL, OWN = Color("panel", "#f6f8fa", "#242a33"), Color("own", "#f2eefb", "#2e2940")
BENIGN, ATTACK = Color("benign", "#2a7f9e", "#5db8d8"), Color("attack", "#c2452d", "#f0795f")
ACCENT, NONE = Color("accent", "#7a5cc0", "#ab92e6"), Color("", "none", "none")
_COLORS = (INK, SOFT, LINE, PAPER, PANEL, OWN, BENIGN, ATTACK, ACCENT)
_ATTRIBUTES = {
    "weight": "font-weight",
    "anchor": "text-anchor",
    "family": "font-family",
    "space": "xml:space",
}
MONO = "Menlo, Consolas, monospace"
FONT = "font-family='Helvetica, Arial, sans-serif'"


def paint(fill: Color = NONE, stroke: Color = NONE) -> str:
    """The attributes of a shape's colors: fixed ones for what knows no style sheet, classes for what does."""
    classes = [f"f-{fill.name}"] * (fill is not NONE) + [f"s-{stroke.name}"] * (stroke is not NONE)
    edge = "" if stroke is NONE else f" stroke='{stroke.light}'"
    return f"fill='{fill.light}'{edge} class='{' '.join(classes)}'"


def text(x: float, y: float, content: str, size: float = 13, color: Color = INK, **more: str) -> str:
    """One line of text; `weight`, `anchor`, `family` and `space` may be given."""
    style = "".join(f" {name}='{more[key]}'" for key, name in _ATTRIBUTES.items() if key in more)
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' {paint(color)}{style}>{escape(content)}</text>"


def legend(x: float, y: float, *words: tuple[str, Color], size: float = 12.5) -> str:
    """One line of (text, color) pairs."""
    spans = "".join(f"<tspan {paint(color)}>{escape(content)} </tspan>" for content, color in words)
    return f"<text xml:space='preserve' x='{x:.1f}' y='{y:.1f}' font-size='{size}'>{spans}</text>"


def box(x: float, y: float, width: float, height: float, fill: Color = PAPER, edge: Color = LINE) -> str:
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' rx='6' {paint(fill, edge)}/>"


def shade(x: float, y: float, width: float, height: float, color: Color, opacity: float) -> str:
    """A box without an edge that lets what lies under it through."""
    place = f"x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}'"
    return f"<rect {place} {paint(color)} fill-opacity='{opacity:.2f}'/>"


def dot(x: float, y: float, color: Color, radius: float = 5, told: str = "", opacity: float = 1) -> str:
    """A dot; `told` is shown where a pointer rests on it."""
    title = f"<title>{escape(told)}</title>" if told else ""
    place = f"cx='{x:.1f}' cy='{y:.1f}' r='{radius}'"
    return f"<circle {place} {paint(color)} fill-opacity='{opacity}'>{title}</circle>"


def curve(points: Iterable[tuple[float, float]], color: Color, dash: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f" stroke-dasharray='{dash}'" if dash else ""
    return f"<polyline points='{path}' {paint(stroke=color)} stroke-width='2'{dashed}/>"


def area(points: Iterable[tuple[float, float]], color: Color, opacity: float = 0.15) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f"<polygon points='{path}' {paint(color)} fill-opacity='{opacity}'/>"


def line(x1: float, y1: float, x2: float, y2: float, color: Color = LINE, dash: str = "") -> str:
    dashed = f" stroke-dasharray='{dash}'" if dash else ""
    ends = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {ends} {paint(stroke=color)} stroke-width='1.5'{dashed}/>"


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    ends = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {ends} {paint(stroke=SOFT)} stroke-width='1.5' marker-end='url(#tip)'/>"


def page(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """A whole figure. Alone it follows the system's light or dark; within a page, what that sets as `--fig-...`."""
    tip = (
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
        f"<path d='M0,0 L8,4 L0,8 z' {paint(SOFT)}/></marker></defs>"
    )
    view = f"viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
    ground = f"<rect width='{width}' height='{height}' rx='6' {paint(PAPER)}/>"
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' {view} class='fig' role='img' {FONT}>\n<title>{escape(title)}</title>\n"
        f"{_style()}\n{tip}\n{ground}\n{body}\n</svg>\n"
    )


def _style() -> str:
    def colors(shade: int) -> str:
        return "".join(f"--fig-{color.name}:{color[shade]};" for color in _COLORS)

    rules = "".join(
        f".fig .f-{color.name}{{fill:var(--fig-{color.name})}}.fig .s-{color.name}{{stroke:var(--fig-{color.name})}}"
        for color in _COLORS
    )
    dark = f"@media (prefers-color-scheme: dark){{svg.fig:root{{{colors(2)}}}}}"
    return f"<style>svg.fig:root{{{colors(1)}}}{dark}{rules}</style>"
