"""The style sheet: readable contrast in both schemes (WCAG 2.2 AA)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import safebench.site

CSS = (Path(safebench.site.__file__).parent / "static" / "style.css").read_text(encoding="utf-8")


def colours(dark: bool) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    found = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", blocks[0]))
    if dark:
        found |= dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", blocks[1]))
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_on_every_ground(dark: bool) -> None:
    found = colours(dark)
    for ground in ("paper", "raised", "wash"):
        for ink in ("ink", "soft", "link", "good", "warn", "tuned"):
            assert contrast(found[ink], found[ground]) >= 4.5, (ink, ground)


@pytest.mark.parametrize("dark", [False, True])
def test_marks_stand_out_from_their_ground(dark: bool) -> None:
    found = colours(dark)
    for mark in ("base", "tuned", "focus"):
        assert contrast(found[mark], found["paper"]) >= 3
    assert contrast(found["tuned"], found["band"]) >= 3
    assert contrast(found["base"], found["band"]) >= 3


def test_the_style_sheet_asks_for_nothing() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_no_colour_fades_into_another() -> None:
    rest = CSS
    for flat in (  # one colour, or colours that end where the next begins
        "linear-gradient(var(--rule), var(--rule))",
        "repeating-linear-gradient(90deg, #000 0 6px, transparent 6px 8px)",
        "linear-gradient(90deg, var(--soft) var(--reached, 0), var(--hair) 0)",
    ):
        assert flat in CSS
        rest = rest.replace(flat, "")
    assert "gradient" not in rest
