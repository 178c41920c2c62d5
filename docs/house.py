"""Draw the wheel of imports: `make house` writes it into docs/house.svg.

Each module of gateway/ is a dot on a circle, beside the other modules of its room. A line leads
from each module to every module that it imports, and has the colour of the room that imports.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import groupby

import grimp

ROOMS = {
    "": ("shared", "#6b7280", "#9ca3af"),
    "providers": ("providers/", "#15803d", "#4ade80"),
    "notifications": ("notifications/", "#0e7490", "#22d3ee"),
    "tables": ("tables/", "#4d7c0f", "#bef264"),
    "actors": ("actors/", "#b45309", "#fbbf24"),
    "cluster": ("cluster/", "#7e22ce", "#c084fc"),
    "web": ("web/", "#1d4ed8", "#60a5fa"),
    "commands": ("commands/", "#be123c", "#fb7185"),
}
"""Each room's title, and its colour on a light and on a dark page; "" is gateway/ itself."""

SIZE = 1000
CENTRE = SIZE / 2
RADIUS = 310
GAP = 2.5
"""How many modules would fit between two rooms."""


def room_of(module: str) -> str:
    """Return the room in which a module stands."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 else ""


def place(angle: float, radius: float) -> tuple[float, float]:
    """Return the point at an angle, clockwise from the top."""
    return CENTRE + radius * math.sin(angle), CENTRE - radius * math.cos(angle)


def place_all(modules: list[str]) -> dict[str, float]:
    """Return each module's angle; modules stand by their rooms, in the order of ROOMS."""
    order = list(ROOMS)
    modules = sorted(modules, key=lambda module: (order.index(room_of(module)), module))
    step = 2 * math.pi / (len(modules) + GAP * len(ROOMS))
    angles, position = {}, GAP / 2
    for _, room in groupby(modules, room_of):
        for module in room:
            angles[module] = (position + 0.5) * step
            position += 1
        position += GAP
    return angles


def draw_line(importer: str, imported: str, angles: dict[str, float]) -> str:
    """Return the curve between two modules; the farther apart they are, the nearer to the centre
    it runs."""
    start, end = angles[importer], angles[imported]
    apart = abs(math.remainder(start - end, 2 * math.pi)) / math.pi
    bend = RADIUS * (0.8 - 0.65 * min(1.0, 2 * apart))
    points = (place(start, RADIUS), place(start, bend), place(end, bend), place(end, RADIUS))
    first, *rest = (f"{x:.1f} {y:.1f}" for x, y in points)
    kind = room_of(importer) or "shared"
    return f'<path class="{kind}" d="M{first}C{", ".join(rest)}"/>'


def draw_module(module: str, angle: float) -> str:
    """Return a module's dot and name, which reads from left to right on both halves."""
    x, y = place(angle, RADIUS)
    degrees = math.degrees(angle) - 90
    kind, name = room_of(module) or "shared", module.rpartition(".")[2]
    left = angle > math.pi
    anchor = ' x="-9" text-anchor="end"' if left else ' x="9"'
    text = f'<text dy=".35em"{anchor}>{name}</text>'
    turned = f"translate({x:.1f} {y:.1f}) rotate({degrees + 180 * left:.1f})"
    return f'<g transform="{turned}"><circle class="{kind}" r="4"/>{text}</g>'


def draw_title(room: str, angles: list[float]) -> str:
    """Return a room's title, outside the names of its modules."""
    x, y = place(sum(angles) / len(angles), RADIUS + 155)
    title = ROOMS[room][0]
    return f'<text class="title {room or "shared"}" x="{x:.1f}" y="{y:.1f}">{title}</text>'


def style() -> Iterator[str]:
    """Yield the rules, for a light page and for a dark one."""
    yield "text{font:12px sans-serif;fill:#1f2937}"
    yield ".title{font:bold 17px sans-serif;text-anchor:middle;dominant-baseline:middle}"
    yield "path{fill:none;stroke-width:1;stroke-opacity:.55}"
    for number, start in ((1, ""), (2, "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}")):
        yield start
        for room, words in ROOMS.items():
            kind, colour = room or "shared", words[number]
            yield f"path.{kind}{{stroke:{colour}}}circle.{kind},.title.{kind}{{fill:{colour}}}"
    yield "}"


def draw() -> str:
    """Return the picture of what gateway/ imports of itself."""
    graph = grimp.build_graph("gateway", exclude_type_checking_imports=True, cache_dir=None)
    angles = place_all([one for one in graph.modules if not graph.find_children(one)])
    lines = [
        draw_line(importer, imported, angles)
        for importer in angles
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if imported in angles
    ]
    titles = [
        draw_title(room, [angle for module, angle in angles.items() if room_of(module) == room])
        for room in ROOMS
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img">',
            "<title>Which module of gateway/ imports which</title>",
            f"<style>{''.join(style())}</style>",
            *lines,
            *(draw_module(module, angle) for module, angle in angles.items()),
            *titles,
            "</svg>\n",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(draw())
