"""Charts drawn beforehand as SVG: they need no script to be seen, print as they are, and take their colours from the page's style.

Altair describes them and vl-convert draws them. Every mark carries its exact numbers as a label, which the page's script shows beside it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

WIDTH = 300
FONT = "Liberation Sans"
"""Texts are measured in this metric; the page shows them in its own sans serif."""
_PLACES = re.compile(r' (?:d|transform|x|y|x1|x2|y1|y2|width|height)="[^"]*"')
"""Where things are drawn: to a hundredth of a pixel. Numbers that are read keep their digits."""

_CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--line)",
        "gridColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 220,
        "tickSize": 4,
        "labelPadding": 4,
        "titlePadding": 6,
    },
    "axisY": {"domain": False, "ticks": False},
    "axisX": {"grid": False},
}


def histogram(bins: Sequence[Mapping[str, Any]], title: str, unit: str, *, logarithmic: bool, cuts: Sequence[float] = ()) -> Markup:
    """Rows by value before and after: `bins` are {low, high, before, after, told}; `cuts` are drawn as lines."""
    data = alt.Data(values=[dict(one) for one in bins])
    scale = alt.Scale(type="log", nice=False) if logarithmic else alt.Scale(zero=False, nice=False)
    x = alt.X("low:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5, **({"format": "~s"} if logarithmic else {})))
    y_axis = _rows_axis()
    marks = [
        alt.Chart(data)
        .mark_rect(opacity=1, color=colour, stroke="var(--paper)", strokeWidth=0.4)
        .encode(
            x=x,
            x2=alt.X2("high:Q"),
            y=alt.Y(f"{field}:Q", axis=y_axis, scale=alt.Scale(zero=True)),
            y2=alt.Y2Datum(0),
            description=alt.Description("told:N"),
        )
        for field, colour in (("before", "var(--before)"), ("after", "var(--kept)"))
    ]
    top = alt.Chart(data).mark_rule(color="var(--edge)", strokeWidth=1.2, aria=False)  # what the pale bars end at
    marks.insert(1, top.encode(x=x, x2=alt.X2("high:Q"), y=alt.Y("before:Q", axis=y_axis)))
    if cuts:
        lines = alt.Data(values=[{"low": cut, "told": f"cut at {cut:,.6g}"} for cut in cuts])
        marks.append(alt.Chart(lines).mark_rule(color="var(--ink)", strokeDash=[3, 2]).encode(x=x, description=alt.Description("told:N")))
    return drawn(alt.layer(*marks).properties(width=WIDTH, height=110), f"{title}: {unit} by value, before and after")


def seeds(
    dots: Sequence[Mapping[str, Any]], arms: Sequence[str], title: str, unit: str, *, chance: float | None, width: int = WIDTH
) -> Markup:
    """Every seed drawn, by arm, in a unit: `dots` are {arm, value, kind, told} of kind seed or mean, means also {low, high}."""
    values = [float(dot[key]) for dot in dots for key in ("value", "low", "high") if dot.get(key) is not None]
    values += [] if chance is None else [chance]
    low, high = min(values), max(values)
    room = 0.04 * ((high - low) or 1.0)
    x = alt.X(
        "value:Q",
        title=unit,
        scale=alt.Scale(domain=[low - room, high + room], nice=False, zero=False),
        axis=alt.Axis(tickCount=5, grid=True),
    )
    y = alt.Y("arm:N", title=None, sort=list(arms), axis=alt.Axis(grid=False, labelLimit=max(120, width // 2)))
    base = alt.Chart(alt.Data(values=[dict(dot) for dot in dots])).encode(y=y, description=alt.Description("told:N"))
    colour = alt.Color("side:N", scale=alt.Scale(domain=["candidate", "control"], range=["var(--kept)", "var(--soft)"]), legend=None)
    mean, seed = base.transform_filter("datum.kind == 'mean'"), base.transform_filter("datum.kind == 'seed'")
    marks = [
        mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), color=colour),
        mean.mark_tick(thickness=2.5, size=14).encode(x=x, color=colour),
        seed.mark_point(size=26, strokeWidth=1.2, filled=False, opacity=0.9).encode(x=x, color=colour),
    ]
    if chance is not None:
        guess = alt.Data(values=[{"value": chance, "told": f"a guess makes {chance:.4g}"}])
        marks.insert(
            0, alt.Chart(guess).mark_rule(color="var(--soft)", strokeDash=[2, 3]).encode(x=x, description=alt.Description("told:N"))
        )
    return drawn(alt.layer(*marks).properties(width=width, height=alt.Step(20)), f"{title}: every seed, by arm")


def curve(points: Sequence[Mapping[str, Any]], title: str, now: float | None, *, sign: str, logarithmic: bool, unsure: bool) -> Markup:
    """Rows kept as a function of the threshold: `points` are {at, least, most}; between two of them a threshold keeps what the one does
    beyond which no value lies, by the comparison's `sign`."""
    step = "step-before" if sign in (">=", "<") else "step-after"
    data = alt.Data(values=[dict(one) for one in points])
    scale = alt.Scale(type="log" if logarithmic else "linear", zero=False, nice=False)
    x = alt.X("at:Q", title=None, scale=scale, axis=alt.Axis(tickCount=6, **({"format": "~s"} if logarithmic else {})))
    axis = _rows_axis()
    base = alt.Chart(data).encode(x=x)
    marks = [base.mark_area(color="var(--kept)", opacity=0.22, interpolate=step, aria=False).encode(y=alt.Y("least:Q", axis=axis))]
    if unsure:
        marks.append(
            base.mark_line(color="var(--soft)", strokeDash=[3, 3], strokeWidth=1.2, interpolate=step, aria=False).encode(y=alt.Y("most:Q"))
        )
    marks.append(base.mark_line(color="var(--kept)", strokeWidth=1.8, interpolate=step, aria=False).encode(y=alt.Y("least:Q")))
    if now is not None:
        at = alt.Data(values=[{"at": now, "told": f"now {now:,.6g}"}])
        marks.append(alt.Chart(at).mark_rule(color="var(--ink)", strokeDash=[3, 2]).encode(x=x, description=alt.Description("told:N")))
    return drawn(alt.layer(*marks).properties(width=WIDTH, height=120), f"{title}: rows kept by threshold")


def ticks(low: float, high: float, at_most: int = 5) -> tuple[str, ...]:
    """The round numbers between two, as they are written: multiples of 1, 2 or 5 times a power of ten."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / at_most))
    step = next(power * one for one in (1, 2, 5, 10) if span / (power * one) <= at_most)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return tuple(f"{number * step:.{places}f}" for number in range(math.ceil(low / step), math.floor(high / step) + 1))


def _rows_axis() -> alt.Axis:
    """Numbers of rows, with the word above them."""
    return alt.Axis(tickCount=3, format=",d", title="rows", titleAngle=0, titleAlign="right", titleAnchor="end", titleX=-4, titleY=-10)


def drawn(chart: Any, label: str) -> Markup:
    """The chart as SVG without styles of its own, named for those who do not see it."""
    held = chart.to_dict(validate=False)
    held["config"] = _CONFIG
    svg = vl_convert.vegalite_to_svg(held)
    svg = re.sub(r' font-family="[^"]*"| style="[^"]*"| xmlns:xlink="[^"]*"| version="1.1"| pointer-events="none"', "", svg)
    svg = re.sub(r' aria-roledescription="[^"]*"| role="[^"]*"| aria-hidden="true"', "", svg)
    svg = _PLACES.sub(lambda found: re.sub(r"(\.\d{2})\d+", r"\1", found[0]), svg).replace('stroke-width="1"', "")
    width, height = re.findall(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', svg)[0]
    place = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg class="chart" role="img" aria-label="{escape(label)}" tabindex="0" {place}>'
    # Texts in it were escaped when it was drawn.
    return Markup(re.sub(r"^<svg[^>]*>", lambda _: head, svg))
