"""The manifest tells our reader from slightly wrong ones: a sample here, all in the tool."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import reader_mutants as tool

LISTED = Path(tool.__file__).with_suffix(".txt")
SAMPLE = 40


def test_the_published_run_caught_nineteen_of_twenty() -> None:
    """`python tools/reader_mutants.py --out tools/reader_mutants.txt` tries all of them."""
    found = re.match(r"(\d+) of (\d+) mutants", LISTED.read_text(encoding="utf-8"))
    assert found is not None
    caught, able = map(int, found.groups())
    assert able >= 300
    assert caught >= 0.95 * able


def test_mutants_are_of_every_kind_and_change_what_they_say() -> None:
    text = "def f(a):\n    if a is None:\n        return\n    return a > 1 and not a == 2.0\n"
    made = {(m.kind, m.change) for m in tool.mutants_of("f.py", text)}
    assert ("guard dropped", "if a is None: return  ->") in made
    assert ("threshold", "a == 2.0  ->  a == 2.5") in made
    assert ("comparison", "a > 1  ->  a >= 1") in made
    assert ("part dropped", "a > 1 and (not a == 2.0)  ->  a > 1") in made
    assert ("not", "not a == 2.0  ->  a == 2.0") in made


@pytest.mark.long
def test_a_sample_is_caught() -> None:
    left = LISTED.read_text(encoding="utf-8")
    sample = [m for m in tool.drawn(tool.all_mutants(), SAMPLE) if m.key not in left]
    with tool.Spoiler() as spoiler:
        manifest = tool.Manifest()
        alive = [m for m in sample if tool.caught_by(spoiler, manifest, m) is None]
    assert len(sample) > SAMPLE / 2
    assert alive == []


def test_a_spoilt_reader_leaves_the_real_one_as_it_is() -> None:
    from safebench.checks import all_rules, check

    rules = all_rules()
    mutant = next(m for m in tool.all_mutants() if m.kind == "guard dropped")
    with tool.Spoiler() as spoiler:
        spoilt, _ = spoiler.reader(mutant)
    assert spoilt is not check
    assert all_rules() is rules
