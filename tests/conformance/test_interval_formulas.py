"""The formulas of intervals.md, written once more from the page, give what the program gives."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

from safebench.stats import paired_difference, score_interval
from tests.conformance.make_coverage import PAGES
from tests.conformance.test_worked_examples import agrees, rows

TEXT = (PAGES / "intervals.md").read_text(encoding="utf-8")


def table(text: str) -> Any:
    return np.array([[float(x) for x in row.split()] for row in text.split("/")])


def parts(y: Any) -> dict[str, float]:
    s, p = y.shape
    found = {"V_p": y.mean(axis=0).var(ddof=1) / p if p > 1 else 0.0, "V_s": 0.0, "V_c": 0.0}
    if s > 1:
        rest = y - y.mean(axis=1)[:, None] - y.mean(axis=0) + y.mean()
        found["V_s"] = y.mean(axis=1).var(ddof=1) / s
        found["V_c"] = (rest**2).sum() / ((s - 1) * (p - 1) * s * p)
    return found


def t(df: float) -> float:
    return float(stats.t.ppf(0.975, df))


def score(y: Any) -> dict[str, float]:
    s, n = y.shape
    p, v = float(y.mean()), parts(y)
    u = max(v["V_p"] + v["V_s"] - v["V_c"], v["V_p"], v["V_s"])
    total = max(u, float((y**2).mean() - p**2) / y.size)
    worth: float = n
    df = math.nan
    if 0 < p < 1 and total > 1e-18 * p * (1 - p):
        below = v["V_p"] ** 2 / (n - 1)
        if s > 1:
            below += v["V_s"] ** 2 / (s - 1) + v["V_c"] ** 2 / ((n - 1) * (s - 1))
        df = total**2 / below if below else math.nan
        m = p * (1 - p) / total
        m = max(m, min(m * n / (n - 1), n))
        c = (u - v["V_p"]) / total
        q = math.sqrt((1 - c) * t(n - 1) ** 2 + (c * t(s - 1) ** 2 if c > 0 else 0))
        if m * min(p, 1 - p) >= 10:
            q = max(q, t(df))
        worth = m * min(1, t(max(m - 1, df)) / q) ** 2
    lower = stats.beta.ppf(0.025, worth * p, worth * (1 - p) + 1) if p > 0 else 0.0
    upper = stats.beta.ppf(0.975, worth * p + 1, worth * (1 - p)) if p < 1 else 1.0
    return {
        **v, "estimate": p, "df": df, "n_effective": worth,
        "lower": min(lower, 0.025 ** (1 / n), p), "upper": max(upper, 1 - 0.025 ** (1 / n), p),
    }  # fmt: skip


def change(a: Any, b: Any) -> dict[str, float]:
    n = a.shape[1]
    d = b.mean(axis=0) - a.mean(axis=0)
    r = d - d.mean()
    w = 1.0
    if (r**2).sum() >= 1e-16:
        w = max(0.0, 1 - (r**2).sum() ** 2 / (r**4).sum() / 10)
    v_d = d.var(ddof=1) / n + 2 * w / n**2
    total, below, square = v_d, v_d**2 / (n - 1), v_d * t(n - 1) ** 2
    for y in (a, b):
        v = parts(y)
        if v["V_s"] - v["V_c"] > 1e-9 * v["V_c"]:
            total += v["V_s"] - v["V_c"]
            square += (v["V_s"] - v["V_c"]) * t(len(y) - 1) ** 2
            below += v["V_s"] ** 2 / (len(y) - 1) + v["V_c"] ** 2 / ((len(y) - 1) * (n - 1))
    df = total**2 / below
    half = max(math.sqrt(square), t(df) * math.sqrt(total))
    mean = float(d.mean())
    return {
        "w": w, "V_d": v_d, "estimate": mean, "df": df,
        "lower": max(mean - half, -1), "upper": min(mean + half, 1),
    }  # fmt: skip


def test_the_worked_examples() -> None:
    found = re.findall(r"<!-- example (\w+) -->\n(.*?)<!-- end -->", TEXT, re.S)
    assert [kind for kind, _ in found] == ["score", "change_of_means"]
    for kind, body in found:
        given = rows(body)
        names = ["scores"] if kind == "score" else ["a", "b"]
        tables = [table(given.pop(name)) for name in names]
        formula = score(*tables) if kind == "score" else change(*tables)
        program = (score_interval if kind == "score" else paired_difference)(*tables)  # type: ignore[operator]
        for name, text in given.items():
            assert agrees(formula[name], text), (name, formula[name])
            assert not hasattr(program, name) or agrees(getattr(program, name), text), name
    assert "1 - .025^(1/300) = .0122" in TEXT
    assert agrees(score_interval(np.zeros((3, 300))).upper, ".0122")


@pytest.mark.parametrize("seed", range(40))
def test_the_formulas_are_those_of_the_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s, n, r = int(rng.integers(1, 6)), int(rng.integers(2, 120)), int(rng.integers(1, 3))
    rate = rng.choice([0.01, 0.1, 0.5, 0.95]) + 0.04 * rng.standard_normal((s, 1)) * rng.integers(2)
    y = (rng.random((s, n)) < np.clip(rate + 0.3 * rng.standard_normal(n), 0, 1)).astype(float)
    found, expected = score_interval(y), score(y)
    for name in ("estimate", "lower", "upper", "n_effective"):
        assert getattr(found, name) == pytest.approx(expected[name], abs=1e-9), name
    a = (rng.random((r, n)) < 0.3).astype(float)
    found, expected = paired_difference(a, y), change(a, y)  # type: ignore[assignment]
    for name in ("estimate", "lower", "upper", "df"):
        assert getattr(found, name) == pytest.approx(expected[name], abs=1e-9), name


def test_repeats_are_averaged_and_v_0_is_of_single_outcomes() -> None:
    cube = (np.random.default_rng(3).random((3, 2, 50)) < 0.4).astype(float)
    mean = float(cube.mean())
    single = (float((cube**2).mean()) - mean**2) / cube.size
    v = parts(cube.mean(axis=1))
    u = max(v["V_p"] + v["V_s"] - v["V_c"], v["V_p"], v["V_s"])
    assert score_interval(cube).n == 300
    if u > single:
        assert score_interval(cube).lower == pytest.approx(score(cube.mean(axis=1))["lower"])
