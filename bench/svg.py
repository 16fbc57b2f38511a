"""Three kinds of plots as SVG, small enough to be read in a diff: bars, stacked bars and curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 230, 90, 30, 52
_PLOT = _WIDTH - _LEFT - _RIGHT
_COLORS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#64748b")
_CURVES_HEIGHT, _CURVES_LEFT = 240, 60


def bars(
    title: str, rows: Sequence[tuple[str, float]], unit: str, dots: Mapping[str, Sequence[float]] | None = None
) -> str:
    """One bar per row; `dots` are single measurements a row's value is made of."""
    dots = dots or {}
    most = max([value for _, value in rows] + [dot for each in dots.values() for dot in each]) or 1
    parts: list[str] = []
    for n, (name, value) in enumerate(rows):
        y = _TOP + n * _ROW
        parts += [
            _text(_LEFT - 8, y + 15, name, "end"),
            _rect(_LEFT, y, _PLOT * value / most, 20, _COLORS[0]),
            _text(_LEFT + _PLOT * max(value, *dots.get(name, (0,))) / most + 8, y + 15, f"{_number(value)} {unit}"),
            *(
                f'<circle cx="{_LEFT + _PLOT * dot / most:.1f}" cy="{y + 10}" r="3.5" fill="#fff" stroke="#111"/>'
                for dot in dots.get(name, ())
            ),
        ]
    return _svg(title, _TOP + len(rows) * _ROW + 8, parts)


def stacked(title: str, rows: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """One bar per row, made of parts of the same names and colours."""
    names = list(dict.fromkeys(name for parts in rows.values() for name in parts))
    most = max(sum(parts.values()) for parts in rows.values()) or 1
    drawn: list[str] = []
    for n, (row, parts) in enumerate(rows.items()):
        x, y = float(_LEFT), _TOP + n * _ROW
        drawn.append(_text(_LEFT - 8, y + 15, row, "end"))
        for name, value in parts.items():
            drawn.append(_rect(x, y, _PLOT * value / most, 20, _color(names, name), f"{name}: {_number(value)} {unit}"))
            x += _PLOT * value / most
        drawn.append(_text(x + 6, y + 15, f"{_number(sum(parts.values()))} {unit}"))
    bottom = _TOP + len(rows) * _ROW + 14
    return _svg(title, bottom + 24, [*drawn, *_legend(names, bottom)])


def curves(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_unit: str, y_unit: str) -> str:
    """Lines from zero on, over a common pair of axes."""
    points = [point for each in series.values() for point in each]
    right, top = max(x for x, _ in points) or 1, max(y for _, y in points) or 1
    width, height, bottom = _WIDTH - _CURVES_LEFT - 20, _CURVES_HEIGHT, _TOP + _CURVES_HEIGHT
    drawn = [f'<path d="M{_CURVES_LEFT} {_TOP}V{bottom}H{_CURVES_LEFT + width}" fill="none" stroke="#94a3b8"/>']
    for part in (0.25, 0.5, 0.75, 1.0):
        drawn += [
            _text(_CURVES_LEFT - 6, bottom - height * part + 4, _number(top * part), "end"),
            _text(_CURVES_LEFT + width * part, bottom + 18, f"{_number(right * part)} {x_unit}", "end"),
        ]
    for name, line in series.items():
        path = " ".join(f"{_CURVES_LEFT + width * x / right:.1f},{bottom - height * y / top:.1f}" for x, y in line)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{_color(list(series), name)}" stroke-width="2"/>')
    drawn.append(_text(_CURVES_LEFT, _TOP - 8, y_unit))
    return _svg(title, bottom + 60, [*drawn, *_legend(list(series), bottom + 34)])


def _legend(names: Sequence[str], y: float) -> Iterable[str]:
    x = 16.0
    for name in names:
        yield _rect(x, y, 12, 12, _color(names, name))
        yield _text(x + 18, y + 11, name)
        x += 34 + 7.2 * len(name)


def _color(names: Sequence[str], name: str) -> str:
    return _COLORS[list(names).index(name) % len(_COLORS)]


def _rect(x: float, y: float, width: float, height: float, color: str, tip: str = "") -> str:
    inside = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{color}">{inside}</rect>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _svg(title: str, height: float, parts: Iterable[str]) -> str:
    """On white, for pages may be dark."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" font-family="sans-serif"'
    drawn = "\n".join(parts)
    return (
        f'{head} font-size="13" role="img" aria-label="{escape(title)}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="16" y="24" font-size="15" font-weight="bold">{escape(title)}</text>\n{drawn}\n</svg>\n'
    )
