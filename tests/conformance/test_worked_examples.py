"""Every number of stability.md and verdict.md is recomputed, by the formulas and by the program."""

from __future__ import annotations

import math
import re
from operator import attrgetter
from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats

from safebench.stats import (
    change_on_phi,
    change_verdict,
    fewest_prompts,
    has_collapsed,
    margin_points,
    plan_stability,
    pooled_sigma,
    read_change,
    replication_interval,
    rerun_verdict,
    sequential_design,
    stability,
)
from safebench.stats.reading import FEWEST_SEEDS, Word
from safebench.stats.stability import agreement_bound
from tests.conformance.make_coverage import MEASURED, PAGES, cells, page

BLOCK = re.compile(r"<!-- example (\w+) -->\n(.*?)<!-- end -->", re.S)
EXAMPLES = [
    pytest.param(kind, body, id=f"{name}-{kind}-{i}")
    for name in ("stability.md", "verdict.md")
    for i, (kind, body) in enumerate(BLOCK.findall((PAGES / name).read_text(encoding="utf-8")))
]
INPUTS: dict[str, tuple[Any, list[str], list[str]]] = {
    "stability": (
        stability,
        ["run_scores", "n_prompts"],
        ["flip_upper", "judge_youden_lower", "missing"],
    ),
    "verdict": (
        rerun_verdict,
        ["original_runs", "rerun_runs"],
        ["paired", "pooled_sigma", "pooled_df", "n_prompts", "flip_upper", "alpha"],
    ),
    "pooled": (pooled_sigma, ["groups"], []),
    "prediction": (replication_interval, ["original_runs", "n_rerun"], []),
    "change": (
        change_verdict,
        ["original_base", "original_tuned", "rerun_base", "rerun_tuned"],
        ["n_prompts", "flip_upper"],
    ),
}
LISTS = {"run_scores", "groups", "original_runs", "rerun_runs", *INPUTS["change"][1]}


def rows(body: str) -> dict[str, str]:
    found = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", body, re.M)
    return dict(found)


def value(name: str, text: str) -> Any:
    if name in LISTS:
        groups = [[float(x) for x in group.split()] for group in text.split("/")]
        return groups if len(groups) > 1 or name == "groups" else groups[0]
    if text in ("True", "False"):
        return text == "True"
    return int(text) if re.fullmatch(r"\d+", text) else float(text)


def agrees(found: Any, text: str) -> bool:
    if found is None or text == "null":
        return found is None and text == "null"
    if isinstance(found, bool | str):
        return str(found) == text
    digits = len(text.partition(".")[2])
    return abs(round(float(found), digits) - float(text)) < 1e-12


@pytest.mark.parametrize(("kind", "body"), EXAMPLES)
def test_worked_examples_by_the_program(kind: str, body: str) -> None:
    function, required, optional = INPUTS[kind]
    given = rows(body)
    arguments = {n: value(n, given[n]) for n in [*required, *optional] if n in given}
    found = function(**arguments)
    outputs = {name: text for name, text in given.items() if name not in arguments}
    assert len(outputs) >= 2
    for name, text in outputs.items():
        if name.startswith("chi2") or name in ("B", "W"):
            continue
        assert agrees(attrgetter(name)(found), text), (name, attrgetter(name)(found))


def by_formula(given: dict[str, str]) -> dict[str, float | None]:
    """The formulas of stability.md, from nothing but the page's inputs."""
    p = np.atleast_2d(np.array(value("run_scores", given["run_scores"])))
    p = p.T if p.shape[0] == 1 else p
    x = 2 * np.arcsin(np.sqrt(p))
    judge, prompts = float(given.get("judge_youden_lower", 1)), int(given["n_prompts"])
    s, r = x.shape
    parts = [(x.mean(axis=1).var(ddof=1), s - 1)]
    if r > 1:
        parts.append((x.var(axis=1, ddof=1).mean() * (1 - 1 / r), s * (r - 1)))
    variance = sum(part for part, _ in parts)
    chi2 = [stats.chi2.ppf(0.05, df) for _, df in parts]
    up = sum(((df / q - 1) * part) ** 2 for (part, df), q in zip(parts, chi2, strict=True))
    down = sum(((1 - df / stats.chi2.ppf(0.95, df)) * part) ** 2 for part, df in parts)
    mean = p.mean()
    share = (
        min(1, float(given["flip_upper"]) / (2 * mean * (1 - mean))) if "flip_upper" in given else 1
    )
    floor = math.sqrt(share / prompts) / judge
    sigma = math.sqrt(variance) / judge
    sigma_up = max(math.sqrt(variance + math.sqrt(up)) / judge, floor)
    sigma_low = math.sqrt(max(variance - math.sqrt(down), 0)) / judge

    def rs(spread: float) -> float:
        return 2 * stats.norm.cdf(0.1 / (math.sqrt(2) * spread)) - 1 if spread else 1.0

    return {
        f"chi2(.05, {s - 1})": chi2[0], "sigma_run": sigma, "sigma_upper": sigma_up,
        "floor": floor, "point": rs(sigma), "upper": rs(sigma_low),
        "lower_if_normal": rs(sigma_up) if s > 2 else None,
        "lower": min(rs(sigma_up), 0.05 ** (2 / s)) if s > 2 else None,
        "B": parts[0][0], "W": parts[-1][0],
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), [e for e in EXAMPLES if e.values[0] == "stability"])
def test_stability_examples_by_the_formulas(kind: str, body: str) -> None:
    given = rows(body)
    if "missing" in given:  # one of the assignments of a single run
        ways = [
            by_formula({**given, "run_scores": given["run_scores"] + end}) for end in (" 0", " 1")
        ]
        expected = min(ways, key=lambda w: w["lower_if_normal"] or 0.0)
        assert agrees(expected["lower_if_normal"], given["lower_if_normal"])
        assert given["lower"] == given["lower_if_normal"]
        assert agrees(expected["sigma_run"], given["sigma_run"])
        return
    compared = {name: found for name, found in by_formula(given).items() if name in given}
    assert len(compared) >= 2
    for name, found in compared.items():
        assert agrees(found, given[name]), (name, found)


@pytest.mark.parametrize(("kind", "body"), [e for e in EXAMPLES if e.values[0] == "verdict"])
def test_verdict_examples_by_the_formulas(kind: str, body: str) -> None:
    given = rows(body)
    scores = [np.array(value(n, given[n])) for n in ("original_runs", "rerun_runs")]
    x, y = (2 * np.arcsin(np.sqrt(score)) for score in scores)
    sizes, means = [x.size, y.size], [score.mean() for score in scores]
    prompts, p = int(given["n_prompts"]), sum(means) / 2
    if "pooled_sigma" in given:
        spreads, df = [float(given["pooled_sigma"]) ** 2] * 2, float(given["pooled_df"])
    elif "paired" in given:
        spreads, df = [(y - x).var(ddof=1) / 2] * 2, sizes[0] - 1
    elif sizes[0] == sizes[1]:
        df = sum(sizes) - 2
        spreads = [(((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()) / df] * 2
    else:
        spreads = [x.var(ddof=1), y.var(ddof=1)]
        parts = [v / n for v, n in zip(spreads, sizes, strict=True)]
        df = sum(parts) ** 2 / sum(v**2 / (n - 1) for v, n in zip(parts, sizes, strict=True))
    floor = min(1, float(given["flip_upper"]) / (2 * p * (1 - p))) / prompts
    alpha = float(given.get("alpha", 0.05))
    widening = (stats.t.isf(alpha, df) / stats.norm.isf(alpha)) ** 2
    worth = [n / max(v * widening, floor) for v, n in zip(spreads, sizes, strict=True)]

    def on_phi(quantiles: list[float]) -> np.ndarray:
        return np.asarray(2 * np.arcsin(np.sqrt(quantiles)))

    pairs = list(zip(worth, means, strict=True))
    low = on_phi([stats.beta.ppf(alpha, n * m, n * (1 - m) + 1) for n, m in pairs])
    high = on_phi([stats.beta.isf(alpha, n * m + 1, n * (1 - m)) for n, m in pairs])
    m1, m2 = on_phi(means)
    ends = {
        "lower": m2 - m1 - math.hypot(m2 - low[1], high[0] - m1),
        "upper": m2 - m1 + math.hypot(high[1] - m2, m1 - low[0]),
        "difference": m2 - m1,
        "floor": math.sqrt(floor),
        "df": df,
    }
    inside = ends["lower"] > -0.1 and ends["upper"] < 0.1
    outside = ends["lower"] > 0.1 or ends["upper"] < -0.1
    word = "reproduced" if inside else "not_reproduced" if outside else "inconclusive"
    assert given["verdict"] == (word if prompts >= 50 else "no_verdict")
    for name, found in ends.items():
        assert agrees(found, given[name]), (name, found)


def table_of_verdicts(name: str) -> list[list[str]]:
    text = (PAGES / "verdict.md").read_text(encoding="utf-8")
    body = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.S)
    assert body
    return [line.strip("| ").split(" | ") for line in body[1].splitlines()]


def test_the_looks_at_a_rerun_that_adds_seeds() -> None:
    for original, kind, looks, alpha in table_of_verdicts("looks")[2:]:
        design = sequential_design(int(original), paired=kind == "regenerate")
        assert design.looks == tuple(map(int, looks.split()))
        assert design.alpha == float(alpha)
    assert fewest_prompts(3, 0.05, alpha=0.015) == 113  # as the text says
    for seeds, words, expected in table_of_verdicts("next")[2:]:
        found = sequential_design(5).next_look(int(seeds), words.split())
        assert found == (None if expected == "none" else int(expected)), words


def test_the_fewest_prompts_of_a_verdict() -> None:
    head, _, *lines = table_of_verdicts("fewest")
    for label, *prompts in lines:
        seeds = int(label.split()[0])
        assert [fewest_prompts(seeds, float(score)) for score in head[1:]] == [*map(int, prompts)]


def test_the_measured_tables_are_those_of_the_benchmark() -> None:
    text = MEASURED.read_text(encoding="utf-8")
    assert text == page()
    for link in re.findall(r"\]\(([^)#\s]+)[)#]", text):
        assert (MEASURED.parent / link).exists(), link


def test_the_small_tables_of_stability() -> None:
    text = (PAGES / "stability.md").read_text(encoding="utf-8")

    def table(name: str) -> list[list[str]]:
        body = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.S)
        assert body
        lines = [line.strip("| ").split(" | ") for line in body[1].splitlines()]
        return [line[1:] for line in (lines[0], *lines[2:])]

    for score, points in zip(*table("margins"), strict=True):
        assert agrees(margin_points(float(score)), points)
    for seeds, bound in zip(*table("agreement"), strict=True):
        assert agrees(0.05 ** (2 / int(seeds)), bound)
        assert agrees(stability([0.5] * int(seeds), 10**9).lower, bound)
        pairs = int(seeds) // 2
        assert agrees(stability([0.5] * int(seeds), 440).pairs_lower, f"{0.05 ** (1 / pairs):.4f}")
    factors = {df + 1: math.sqrt(df / stats.chi2.ppf(0.05, df)) for df in (2, 4)}
    assert f"{factors[3]:.2f} s with three seeds and {factors[5]:.2f} s with five" in " ".join(
        text.split()
    )


def test_the_notes_of_stability() -> None:
    text = (PAGES / "stability.md").read_text(encoding="utf-8")
    body = re.search(r"<!-- notes -->\n(.*?)<!-- end -->", text, re.S)
    assert body
    written = re.findall(r"\| `(.+?)` \|", body[1])[1:]
    known, unknown = stability([0.5] * 3, 440, 0.1), stability([0.5] * 3, 440)
    two, one = stability([0.5] * 2, 440), stability([0.5], 440)
    assert written == [known.method, unknown.method, two.reason, one.reason]
    assert stability([0.5] * 3, 440, 0.1, missing=1).method == (
        f"{known.method}; 1 missing scored worst-case"
    )
    assert stability([0.5], 440, missing=1).reason == (
        f"{two.reason}; 1 of 2 seeds missing, scored worst-case"
    )


def test_the_figures_in_the_text_are_measured() -> None:
    """Sentences that name a figure of the benchmark."""
    text = " ".join((PAGES / "stability.md").read_text(encoding="utf-8").split())
    stable = {c.label: c for c in cells().values() if c.part == "stability"}
    bounds = {label: c for label, c in stable.items() if ": " not in label}
    missed = {c.label: c.text.strip("*") for c in bounds.values() if c.missed}
    assert set(missed) == {
        "collapse, P=450, S=20",
        "large seed effect, P=450, S=20, judge errs",
    }
    assert "**`lower`** holds in every cell of 3, 5 and 10 seeds. With 20 it misses" in text
    for share in missed.values():
        assert f"({share})" in text
    assert min(c.share for c in bounds.values()) == "0.927"
    assert len(bounds) > 100
    assert not any(c.missed for label, c in stable.items() if label.endswith(": pairs"))
    assert "**The pairs** hold in every cell" in text
    quiet = 1 - float(stable["quiet, 5 % collapse, P=450, S=3: if normal"].share)
    assert f"above the truth in {100 * quiet:.0f} % of studies" in text
    measured = [c for c in cells().values() if c.part in ("score", "change")]
    least = {
        seeds: min(
            float(cell.share)
            for cell in measured
            if f"S={seeds}" in cell.label and "collapse" not in cell.label
        )
        for seeds in (2, 3)
    }
    ends = [f"{share:.2f}".removeprefix("0") for share in least.values()]
    assert f"{ends[0]} at the least with two seeds that spread much, {ends[1]} with three" in text
    fewest = [plan_stability(0, bound) for bound in (0.5, 0.8)]
    assert (
        "three never show more than {:.2f}, .5 takes {}, and .8 takes {}".format(
            agreement_bound(3), *fewest
        ).replace(" 0.", " .")
        in text
    )


def test_the_errors_that_verdict_names_are_measured() -> None:
    text = " ".join((PAGES / "verdict.md").read_text(encoding="utf-8").split())

    def largest(*words: str) -> str:
        found = [float(c.share) for key, c in cells().items() if all(w in key for w in words)]
        return f"{max(found):.2f}".removeprefix("0")

    unequal = largest("verdict phi normal, SD 0.02 and", " 2 and 2 seeds: false")
    assert f"(up to {unequal} with two seeds)" in text
    assert f"taken as exact ({largest('verdict', 'taken as exact')})" in text
    assert f"until the verdict is settled ({largest('verdict', 'one by one')})" in text
    assert f"two seeds that spread much ({largest('sign no change, large', 'S=2,')})" in text
    every = largest("sequential SD 0.04, 5 old, every look at .05")
    assert f"with every look at .05, false `reproduced` would come to {every}" in text
    shares = {key: f"{100 * float(cell.share):.0f} %" for key, cell in cells().items()}
    added = "sequential phi normal, SD 0.04, {} old: power"
    five, three = (cells()[added.format(old)].note.split()[1] for old in (5, 3))
    assert f"in {shares[added.format(5)]} of studies, after {five} new seeds" in text
    assert f"with three, in {shares[added.format(3)]}, after {three}." in text
    again = "regenerate usual, P={} seeds: power"
    many, more, few = (shares[again.format(size)] for size in ("450, 3", "450, 5", "100, 5"))
    assert f"in {many} of studies with three models, in {more} with five" in text
    assert f"on 100 prompts in {few} with five" in text
    for key in (key for key, cell in cells().items() if cell.missed):
        assert not key.startswith(("sequential", "regenerate")), key
        if key.startswith("verdict "):
            assert "SD 0.02 and 0." in key or "taken as exact" in key, key
        if key.startswith("sign no change"):
            assert "large" in key, key
            assert "S=2," in key, key


def table(name: str) -> list[list[str]]:
    """The cells of a table of reading.md, without its head."""
    text = (PAGES / "reading.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.S)
    assert found is not None
    lines = found[1].splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def test_readings_of_the_page() -> None:
    rows = table("readings")
    assert {word for *_, word in rows} == set(get_args(Word))
    for *numbers, word in rows:
        wide, narrow, (seeds,), ends = ([float(x) for x in cell.split()] for cell in numbers)
        collapsed = bool(ends) and seeds >= FEWEST_SEEDS and has_collapsed(*ends)
        found = read_change((wide[0], wide[1]), (narrow[0], narrow[1]), int(seeds))
        assert ("collapsed" if collapsed else found) == word, numbers
    for difference, middle, h in table("on phi"):
        assert agrees(change_on_phi(float(difference), float(middle)), h)
