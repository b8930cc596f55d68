# SPDX-License-Identifier: GPL-2.0
"""What a terminal shows, as tmux writes it with colours, as an SVG picture."""

import dataclasses
import re
from xml.sax import saxutils

CELL, LINE, MARGIN = 8.4, 19, 14
INK, PAPER, FRAME = "#d8dee9", "#1e222a", "#7a8290"
# The sixteen colours that programs ask for by number; the rest is computed.
BASIC = (
    *("#1e222a", "#ff7b72", "#7ee787", "#e3b341"),
    *("#79c0ff", "#d2a8ff", "#76e3ea", "#d8dee9"),
    *("#7a8290", "#ffa198", "#a5f0ad", "#f2cc60"),
    *("#a5d6ff", "#e2c5ff", "#b3f0ff", "#ffffff"),
)
FONT = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
SEQUENCE = re.compile("\033\\[([\\d;]*)m|\033\\([B0]|\016|\017")


@dataclasses.dataclass(frozen=True)
class Style:
    """How a run of characters looks; None is the terminal's own colour."""

    ink: str = None
    paper: str = None
    bold: bool = False
    reverse: bool = False

    def colours(self):
        ink, paper = self.ink or INK, self.paper or PAPER
        return (paper, ink) if self.reverse else (ink, paper)


def colour(number):
    """Of the 256 colours: sixteen, a cube with six steps a channel, greys."""
    if number < 16:
        return BASIC[number]
    if number >= 232:
        return "#" + f"{8 + 10 * (number - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    cube = number - 16
    return "#" + "".join(f"{steps[cube // n % 6]:02x}" for n in (36, 6, 1))


def restyled(style, codes):
    """The style after a sequence that selects another one."""
    codes = [int(code or 0) for code in codes.split(";")]
    while codes:
        code = codes.pop(0)
        change = {}
        if code == 0:
            style = Style()
        elif code in (1, 22):
            change["bold"] = code == 1
        elif code in (7, 27):
            change["reverse"] = code == 7
        elif code in (38, 48):
            _, number, *codes = codes
            change["ink" if code == 38 else "paper"] = colour(number)
        elif code in (39, 49):
            change["ink" if code == 39 else "paper"] = None
        elif code // 10 in (3, 4, 9, 10):
            number = code % 10 + (8 if code >= 90 else 0)
            change["ink" if code // 10 in (3, 9) else "paper"] = colour(number)
        style = dataclasses.replace(style, **change)
    return style


def runs(text):
    """[[(column, characters, style)]] by line."""
    found, style = [], Style()
    for line in text.rstrip("\n").split("\n"):
        row, column, start = [], 0, 0
        for match in [*SEQUENCE.finditer(line), None]:
            part = line[start : match.start() if match else None]
            if part:
                row.append((column, part, style))
                column += len(part)
            if match:
                start = match.end()
                style = restyled(style, match[1]) if match[1] is not None else style
        found.append(row)
    return found


def joined(row):
    """Neighbours that look alike as one."""
    out = []
    for column, part, style in row:
        if out and out[-1][2] == style:
            out[-1] = (out[-1][0], out[-1][1] + part, style)
        else:
            out.append((column, part, style))
    return out


def draw_row(row, top):
    """A line: what is behind the words, then one <text> with a <tspan> a run."""
    behind, words = [], []
    for column, part, style in joined(row):
        ink, paper = style.colours()
        x, width = MARGIN + column * CELL, len(part) * CELL
        if paper != PAPER:
            behind.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{LINE}" fill="{paper}"/>'
            )
        if part.strip():
            weight = ' font-weight="bold"' if style.bold else ""
            words.append(
                f'<tspan x="{x:.1f}" textLength="{width:.1f}" fill="{ink}"{weight}>'
                f"{saxutils.escape(part)}</tspan>"
            )
    if words:
        base = top + LINE * 0.74
        behind.append(f'<text y="{base:.1f}">{"".join(words)}</text>')
    return behind


def draw(text, title):
    """An SVG picture of the text, no larger than that."""
    rows = runs(text)
    while not any(part.strip() for _, part, _ in rows[-1]):
        rows.pop()
    columns = max(sum(len(part) for _, part, _ in row) for row in rows)
    width, height = 2 * MARGIN + columns * CELL, 2 * MARGIN + len(rows) * LINE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}">',
        "<!-- SPDX-License-Identifier: GPL-2.0 -->",
        f"<title>{saxutils.escape(title)}</title>",
        f'<rect x="0.5" y="0.5" width="{width - 1:.1f}" height="{height - 1:.1f}" '
        f'rx="8" fill="{PAPER}" stroke="{FRAME}"/>',
        f'<g font-family="{FONT}" font-size="14" xml:space="preserve">',
    ]
    for number, row in enumerate(rows):
        out += draw_row(row, MARGIN + number * LINE)
    return "\n".join([*out, "</g>", "</svg>", ""])
