"""Small charts as inline SVG: a line over steps with its band, and shares or differences with their intervals.

Colours come from the page's style sheet through classes, so that light and dark both read well. Each function returns
markup that is safe to place in a page: every text in it is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 360, 200
STYLE = (  # of a chart that stands alone, without the page's style sheet
    "text{fill:#57606a;font:11px system-ui,sans-serif} .grid{stroke:#d8dee4} .zero{stroke:#57606a} .dot{fill:#0969da}"
    " .line{fill:none;stroke:#0969da;stroke-width:2} .band{fill:#0969da;opacity:.16}"
    " .whisker{stroke:#0969da;stroke-width:2.5;opacity:.55} .series .dot{fill:#6e7781} .series .whisker{stroke:#6e7781}"
    " .quiet .dot{fill:#afb8c1} .quiet .whisker{stroke:#afb8c1}"
)
LETTER = 6  # about what one takes in a label
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 34


@dataclass(frozen=True)
class Point:
    """One measurement; `low` and `high` bound it where an interval is known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One share, or difference of two, of a chart of intervals; `tone` picks its colour: a class of the style sheet."""

    label: str
    value: float
    low: float
    high: float
    tone: str = "series"


def line_chart(title: str, points: Sequence[Point], x_label: str = "step", percent: bool = False) -> Markup:
    """`points` joined by a line over x; a band where they have intervals. Empty where there is no finite point."""
    points = [point for point in points if math.isfinite(point.x) and math.isfinite(point.y)]
    if not points:
        return Markup("")
    edges = [edge for point in points for edge in (point.y, point.low, point.high) if edge is not None]
    ticks = ticks_between(min(edges), max(edges))
    low, high = ticks[0], ticks[-1]
    x_low, x_high = min(point.x for point in points), max(point.x for point in points)

    def x_of(value: float) -> float:
        share = (value - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y_of(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_grid(ticks, y_of, percent)]
    banded = [(point.x, point.low, point.high) for point in points if point.low is not None and point.high is not None]
    if len(banded) > 1:
        upper = [f"{x_of(x)},{y_of(top)}" for x, _, top in banded]
        lower = [f"{x_of(x)},{y_of(bottom)}" for x, bottom, _ in reversed(banded)]
        parts.append(Markup('<polygon class="band" points="{}"/>').format(" ".join(upper + lower)))
    path = " ".join(f"{x_of(point.x)},{y_of(point.y)}" for point in points)
    parts.append(Markup('<polyline class="line" points="{}"/>').format(path))
    dots = points if len(points) <= 60 else [points[0], points[-1]]
    for point in dots:
        tip = f"{x_label} {number(point.x)}: {number(point.y, percent)}"
        if point.low is not None and point.high is not None:
            tip += f" [{number(point.low, percent)}, {number(point.high, percent)}]"
        dot = Markup('<circle class="dot" cx="{}" cy="{}" r="2.6"><title>{}</title></circle>')
        parts.append(dot.format(x_of(point.x), y_of(point.y), tip))
    parts += [_text(x_of(value), HEIGHT - BOTTOM + 16, number(value), "middle") for value in sorted({x_low, x_high})]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x_label, "middle"))
    return _svg(title, WIDTH, HEIGHT, parts)


def interval_chart(title: str, rows: Sequence[Row], *, differences: bool = False) -> Markup:
    """A dot with its interval a row: a share in [0, 1], or a difference of two, with a line at 0. Empty: no row."""
    if not rows:
        return Markup("")
    right, step = 20, 26
    left = max(118, min(300, 12 + LETTER * max(len(row.label) for row in rows)))
    width, height = 362 + left, TOP + step * len(rows) + 26
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    if differences:
        ticks = ticks_between(min(0.0, *(row.low for row in rows)), max(0.0, *(row.high for row in rows)))

    def x_of(value: float) -> float:
        return round(left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (width - left - right), 1)

    def text(value: float) -> str:
        return (f"{value * 100:+.3g}" if value else "0") if differences else number(value, True)

    parts = []
    for tick in ticks:
        line = Markup('<line class="{2}" x1="{0}" x2="{0}" y1="{1}" y2="{3}"/>')
        parts.append(line.format(x_of(tick), TOP - 4, "zero" if differences and tick == 0 else "grid", height - 24))
        parts.append(_text(x_of(tick), height - 8, text(tick), "middle"))
    for place, row in enumerate(rows):
        y = TOP + step * place + step / 2
        mark = Markup(
            '<g class="{tone}"><title>{tip}</title><line class="whisker" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
            '<circle class="dot" cx="{value}" cy="{y}" r="4.5"/></g>'
        )
        tip = f"{row.label}: {text(row.value)} [{text(row.low)}, {text(row.high)}]"
        place_of = {"low": x_of(row.low), "high": x_of(row.high), "value": x_of(row.value)}
        parts.append(mark.format(tone=row.tone, tip=tip, y=y, **place_of))
        parts.append(_text(left - 12, y + 4, row.label, "end"))
    return _svg(title, width, height, parts)


def alone(chart: Markup) -> str:
    """A chart as a file of its own."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg"{chart.removeprefix("<svg").partition(">")[0]}><style>{STYLE}</style>'
    )
    return f"{head}{chart.partition('>')[2]}\n"


def ticks_between(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers, evenly spaced, that enclose both: 0.13, 0.58 -> 0.1, 0.2, ... 0.6."""
    if high - low < 1e-12:
        low, high = low - (abs(low) * 0.1 or 1.0), high + (abs(high) * 0.1 or 1.0)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def number(value: float, percent: bool = False) -> str:
    """Short and honest: three significant digits, or whole percents."""
    if percent:
        return f"{value * 100:.0f} %"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _grid(ticks: Sequence[float], y_of: Callable[[float], float], percent: bool) -> Markup:
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>')
    marks = [line.format(LEFT, WIDTH - RIGHT, y=y_of(tick)) for tick in ticks]
    marks += [_text(LEFT - 8, y_of(tick) + 4, number(tick, percent), "end") for tick in ticks]
    return Markup("").join(marks)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _svg(title: str, width: int, height: int, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, title)
    return head + Markup("").join(parts) + Markup("</svg>")
