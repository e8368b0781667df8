"""static/compare.js prints what `safebench compare` does, digit by digit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import playwright
from click.testing import CliRunner

from safebench.analysis.paired import paired_change
from safebench.cli.compare import command as compare
from safebench.evidence.arrays import OutcomeArray
from safebench.site import comparing
from safebench.words import proportion, signed, signed_interval

# A browser's engine without the browser: the one that Playwright brings for its own use.
NODE = Path(playwright.__file__).parent / "driver" / "node"
SCRIPT = Path(comparing.__file__).parent / "static" / "compare.js"


def block(scores: Any, condition: str = "tuned") -> OutcomeArray:
    runs, _, prompts = scores.shape
    none = np.zeros(scores.shape, dtype=bool)
    return OutcomeArray(
        judge="rule",
        condition=condition,
        checkpoint=None if condition == "base" else 1,
        decoding="greedy",
        task="t",
        construct="harm",
        seeds=tuple(range(runs)) if condition != "base" else (None,),
        prompts=tuple(f"p{i}" for i in range(prompts)),
        categories=("",) * prompts,
        scores=scores,
        verdicts=np.full(scores.shape, ""),
        unread=none,
        truncated=none,
        blocked=none,
        unrecorded=none,
    )


def pairs() -> Iterator[tuple[OutcomeArray, OutcomeArray]]:
    """Two arms as they come: few and many seeds, repeats, prompts; rare, equal, graded outcomes."""
    rng = np.random.default_rng(20)
    for _ in range(150):
        prompts = int(rng.choice([1, 2, 8, 36, 120]))
        tilt = rng.beta(0.6, 0.6, prompts)
        arms = []
        for side in (0, 1):
            shape = (int(rng.choice([1, 2, 3, 5])), int(rng.choice([1, 3, 40])), prompts)
            p = np.clip(tilt + rng.normal(0, 0.15, (shape[0], 1, 1)), 0, 1) * rng.choice(
                [0, 0.02, 1]
            )
            scores = (rng.random(shape) < p).astype(float)
            if rng.random() < 0.15:
                scores = np.round(scores * rng.random(shape), 3)
            is_base = side == 0 and rng.random() < 0.3
            arms.append(block(scores[:1], "base") if is_base else block(scores))
        yield arms[0], arms[0] if rng.random() < 0.05 else arms[1]


def in_script(entries: list[tuple[Any, Any]]) -> Any:
    program = (
        f"const m = require({json.dumps(str(SCRIPT))}); let text = '';"
        "process.stdin.on('data', d => text += d).on('end', () => console.log(JSON.stringify("
        "JSON.parse(text).map(pair => m.compare(pair[0], pair[1])))));"
    )
    done = subprocess.run(
        [NODE, "-e", program], input=json.dumps(entries), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def as_data(one: OutcomeArray) -> dict[str, Any]:
    rows = comparing._rows(one)
    return {"blocks": [{"task": "t", "construct": "harm", "prompts": one.prompts, **rows}]}


def test_every_printed_digit_is_that_of_the_program() -> None:
    cases = list(pairs())
    shown = in_script([(as_data(a), as_data(b)) for a, b in cases])
    for (a, b), (found,) in zip(cases, shown, strict=True):
        change = paired_change((a, b), (a, b))
        moved = [np.mean(x.arm().reshape(-1, len(x.prompts)), axis=0) for x in (a, b)]
        moves = np.round(moved[1] - moved[0], 12)
        ends = signed_interval(change.lower, change.upper)
        assert (
            found["difference"],
            found["reading"],
            found["margin"],
            (found["onA"], found["onB"]),
            (found["up"], found["down"]),
        ) == (
            f"{signed(change.estimate)} {ends}",
            change.reading,
            proportion(change.margin, 3),
            (proportion(change.a), proportion(change.b)),
            (int((moves > 0).sum()), int((moves < 0).sum())),
        )


def test_the_page_says_what_the_command_says(board: Path, site: Path) -> None:
    ids = "single", "dolly"
    entries = [
        json.loads((site / "c" / f"{id}.js").read_text().removeprefix("safebenchEntry(")[:-3])
        for id in ids
    ]
    (found,) = in_script([(entries[0], entries[1])])
    folders = [str(board / "submissions" / id) for id in ids]
    said = CliRunner().invoke(compare, [*folders, "--flips", "0"]).output
    words = " ".join(said.split())
    assert len(found) == 3
    for one in found:
        for text in (f"A {one['a']['score']} {one['a']['measured']}", f"B {one['b']['score']}"):
            assert text in words
        assert f"B - A {one['difference']} {one['reading']} (margin {one['margin']})" in words
        assert f"rate: {one['up']} up, {one['down']} down" in words
    for text in entries[0]["cautions"]:
        assert f"A {text}" in words
