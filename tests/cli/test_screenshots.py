# SPDX-License-Identifier: GPL-2.0
"""The pictures in Documentation show what the command writes today."""

import os
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

from test_tmux import SOURCE

sys.path.append(os.path.join(SOURCE, "scripts"))

import terminal_svg  # noqa: E402

PICTURES = os.path.join(SOURCE, "Documentation/pictures")
NAMES = ("map", "plan", "show", "watch")
SPACE = "{http://www.w3.org/2000/svg}"


def test_they_are_the_same_when_drawn_again(tmp_path):
    script = os.path.join(SOURCE, "scripts/screenshots")
    subprocess.run([script, "--folder", tmp_path], check=True, timeout=200)
    for name in NAMES:
        with open(f"{PICTURES}/{name}.svg", encoding="utf-8") as file:
            assert (tmp_path / f"{name}.svg").read_text() == file.read(), name


@pytest.mark.parametrize("name", NAMES)
def test_nothing_overlaps_or_is_cut(name):
    root = xml.parse(f"{PICTURES}/{name}.svg").getroot()
    width, height = float(root.get("width")), float(root.get("height"))
    lines = [float(text.get("y")) for text in root.iter(f"{SPACE}text")]
    assert all(b - a >= 16 for a, b in zip(lines, lines[1:])) and lines[-1] < height
    for text in root.iter(f"{SPACE}text"):
        end = 0
        for span in text:
            assert float(span.get("x")) >= end - 0.1
            end = float(span.get("x")) + float(span.get("textLength"))
        assert end < width


def spans(text):
    root = xml.fromstring(terminal_svg.draw(text, "<title>"))
    assert root.find(f"{SPACE}title").text == "<title>"
    return [
        (s.get("fill"), s.get("font-weight"), s.text)
        for s in root.iter(f"{SPACE}tspan")
    ]


def test_colours():
    ink, paper = terminal_svg.INK, terminal_svg.PAPER
    assert spans("a<&b") == [(ink, None, "a<&b")]
    assert spans("\033[31mred\033[39m plain") == [
        (terminal_svg.BASIC[1], None, "red"),
        (ink, None, " plain"),
    ]
    assert spans("\033[1mbold\033[0mnot") == [(ink, "bold", "bold"), (ink, None, "not")]
    assert spans("\033[7mx\033[27my") == [(paper, None, "x"), (ink, None, "y")]
    assert spans("\033[38;5;16;48;5;32m0") == [("#000000", None, "0")]
    assert [terminal_svg.colour(n) for n in (16, 32, 231, 232, 255)] == [
        *("#000000", "#0087d7", "#ffffff", "#080808", "#eeeeee")
    ]


def test_neighbours_that_look_alike_are_one():
    assert len(spans("\033[31ma\033[0m\033[31mb\nc")) == 2


def test_what_is_behind():
    picture = terminal_svg.draw("ab\033[44m  \033[0mc", "")
    (back,) = [
        r
        for r in xml.fromstring(picture).iter(f"{SPACE}rect")
        if r.get("fill") == terminal_svg.BASIC[4]
    ]
    at = terminal_svg.MARGIN + 2 * terminal_svg.CELL
    assert float(back.get("x")) == pytest.approx(at, abs=0.1)
    assert float(back.get("width")) == pytest.approx(2 * terminal_svg.CELL, abs=0.1)
