"""Figures 1 to 3 of a submission: what they say is what its outcomes say, or that there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safebench.card.measured import MeasuredResults, MeasuredScore, complete_results
from safebench.site.board_rows import primary
from safebench.site.figures import Figure, figures
from safebench.site.sources import Entry, read_place
from safebench.words import proportion, signed, signed_interval
from tests.site import made_by_code
from tests.site.html_check import read
from tests.site.made_by_code import Recipe

SEEDS = Recipe().seeds


def shown(entry: Entry) -> tuple[list[Figure], MeasuredResults, MeasuredScore]:
    results = complete_results(entry.card)
    harm = primary(results, "harm")
    assert results is not None and harm is not None
    return figures(entry.card, results, harm), results, harm


def made(root: Path, **changes: object) -> Entry:
    recipe = Recipe(**changes)  # type: ignore[arg-type]
    entry = read_place(made_by_code.write_submission(root, recipe)).entry
    assert entry is not None
    return entry


@pytest.fixture(scope="module")
def household(board: Path) -> Entry:
    entry = read_place(board / "submissions" / "household").entry
    assert entry is not None
    return entry


def runs(
    entry: Entry, decoding: str, checkpoint: int | None, task: str = "safebench_harm"
) -> list[list[float]]:
    """Return run scores from the outcomes alone: a list per seed, a number per repeat."""
    found: dict[tuple[object, int], list[float]] = {}
    for row in entry.outcomes.to_pylist():
        if (row["decoding"], row["checkpoint"], row["task"]) == (decoding, checkpoint, task):
            found.setdefault((row["training_seed"], row["repeat"]), []).append(row["score"])
    seeds: dict[object, list[float]] = {}
    for (seed, _), scores in sorted(found.items(), key=str):
        seeds.setdefault(seed, []).append(sum(scores) / len(scores))
    return list(seeds.values())


def ends(entry: Entry, decoding: str, checkpoint: int) -> str:
    means = sorted(sum(r) / len(r) for r in runs(entry, decoding, checkpoint))
    return f"{proportion(means[0])} to {proportion(means[-1])}"


def test_each_figure_says_what_the_outcomes_say(household: Entry) -> None:
    (again, seed, decoding), _, _ = shown(household)
    spreads = []
    for checkpoint, where in ((None, "for the base model"), (1, "at epoch 1"), (2, "at epoch 2")):
        ranges = [max(r) - min(r) for r in runs(household, "t07", checkpoint)]
        spreads.append(f"{proportion(sum(ranges) / len(ranges), 3)} {where}")
    assert again.answer == (
        "Highest minus lowest of 3 repeats at t07, on average over the models: "
        f"{', '.join(spreads)}."
    )
    told = [f"{ends(household, 't07', at)} at epoch {at}" for at in (1, 2)]
    assert seed.answer == f"Lowest to highest of 5 seeds, t07: {', '.join(told)}."
    bases = [
        proportion(sum(map(sum, found)) / sum(map(len, found)))
        for found in (runs(household, name, None) for name in ("greedy", "t07"))
    ]
    assert decoding.answer.startswith(
        f"Lowest to highest model, greedy and t07: {' and '.join(bases)} for the base model; "
        f"{ends(household, 'greedy', 1)} and "
        f"{ends(household, 't07', 1)} at epoch 1 (t07 higher in "
    )


def test_every_run_is_drawn(household: Entry) -> None:
    (again, seed, decoding), _, _ = shown(household)

    def spots(figure: Figure) -> list[int]:
        assert figure.picture is not None
        paths = re.findall(r'<path d="([^"]*)" class="spot[^"]*"', figure.picture)
        return [path.count("h0") for path in paths]

    assert spots(again) == [3, 2 * 5 * 3]  # repeats of the base, and of the tuned models
    assert spots(seed) == [1, 2 * 5]
    assert spots(decoding) == [2, 2 * 2 * 5]


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    (again, seed, decoding), results, harm = shown(made(tmp_path, repeats=1, seeds=(5,)))
    assert (again.picture, seed.picture) == (None, None)
    assert again.answer == "Not measured: every model answered each prompt once."
    assert seed.answer == "Not measured: there is one tuned model."
    assert decoding.picture is not None
    entry = made(tmp_path / "more", repeats=1)
    same = results.model_copy(
        update={"scores": tuple(s for s in results.scores if s.decoding == harm.decoding)}
    )
    _, _, alone = figures(entry.card, same, harm)
    assert (alone.answer, alone.picture) == ("Not measured: t07 is the one decoding.", None)


def test_a_model_without_a_base_is_drawn_without_one(household: Entry) -> None:
    _, results, harm = shown(household)
    tuned = results.model_copy(
        update={"scores": tuple(s for s in results.scores if s.condition != "base")}
    )
    again, seed, decoding = figures(household.card, tuned, harm)
    assert "base" not in decoding.answer
    for figure in (again, seed, decoding):
        assert figure.picture is not None and ">base<" not in figure.picture
    assert "base" not in again.answer


def test_sixty_seeds_take_no_more_elements_than_five(tmp_path: Path, household: Entry) -> None:
    many, _, _ = shown(made(tmp_path, seeds=tuple(range(60)), prompts=6))
    few, _, _ = shown(household)
    for one, other in zip(many, few, strict=True):
        assert one.picture is not None and other.picture is not None
        assert read(str(one.picture)).tags == read(str(other.picture)).tags
        assert len(one.picture) < 25_000


def test_pages_call_them_by_their_numbers(site: Path) -> None:
    page = read((site / "submissions" / "household.html").read_text(encoding="utf-8"))
    titles = ("One tuned model, asked again", "The same recipe, another training seed")
    for number, title in enumerate((*titles, "The same models, another decoding"), start=1):
        assert f"Figure {number}. {title}." in page.text
    assert "arXiv:2506.17209" in page.text
    single = read((site / "submissions" / "single.html").read_text(encoding="utf-8"))
    assert "Not measured: there is one tuned model." in single.text


def test_a_page_has_the_change_under_another_decoding(household: Entry, site: Path) -> None:
    results = household.card.results
    (change,) = (
        c for c in results.changes
        if (c.construct, c.decoding, c.condition, c.checkpoint) == ("harm", "greedy", "tuned", 2)
    )  # fmt: skip
    page = read((site / "submissions" / "household.html").read_text(encoding="utf-8"))
    ends = signed_interval(change.lower, change.upper)
    assert f"The change from base at greedy: {signed(change.estimate)} {ends}." in page.text
