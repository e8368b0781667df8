"""A rerun that adds seeds: the same bytes as one that had them from the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

import safebench.study.sequential as sequential
from safebench.card.submission import Submitter
from safebench.cli.console import TerminalProgress
from safebench.cli.rerun import repeat
from safebench.errors import RunError
from safebench.evidence.journal import Journal
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import Look, RerunReport
from safebench.stats import SequentialDesign
from safebench.study.rerun import Extent
from tests.tiny_runs import files_of, run_tiny, write_tiny

pytestmark = pytest.mark.slow
SOMEBODY = Submitter(name="Somebody", organisation="Another lab", contact="a@example.org")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    home = tmp_path_factory.mktemp("sequential")
    run_tiny(write_tiny(home), home / "out")
    return Submission.read(home / "out")


def again(original: Submission, out: Path, seeds: int | None) -> RerunReport:
    with TerminalProgress() as progress:
        return repeat(
            original,
            out,
            SOMEBODY,
            progress,
            extent=Extent(seeds),
            until_settled=seeds is None,
            base=original.folder.parent / "model",
            batch_size=64,
            threads=1,
            device="cpu",
        )


def settled_at(seeds: int, monkeypatch: pytest.MonkeyPatch, *, breaks_at: int = 0) -> list[int]:
    """Let the verdict be inconclusive below a number of seeds; return the looks taken."""
    real, taken = sequential.compare, []

    def compare(
        original: Submission, rerun: Submission, *, design: SequentialDesign, looks: list[Look]
    ) -> RerunReport:
        found = real(original, rerun, design=design, looks=looks)
        taken.append(found.planned_seeds)
        if found.planned_seeds == breaks_at and taken.count(breaks_at) == 1:
            raise RunError("the machine stops here")
        word = "reproduced" if found.planned_seeds >= seeds else "inconclusive"
        rows = tuple(
            row.model_copy(update={"verdict": word, "prompts_needed": None})
            for row in found.verdicts
        )
        return found.model_copy(update={"verdicts": rows, "overall": word})

    monkeypatch.setattr(sequential, "compare", compare)
    return taken


def test_it_goes_on_to_the_bytes_of_a_rerun_that_had_all_seeds(
    original: Submission, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = original.folder.parent
    again(original, home / "whole", 5)
    taken = settled_at(5, monkeypatch, breaks_at=3)
    with pytest.raises(RunError, match="stops here"):
        again(original, home / "grown", None)
    report = again(original, home / "grown", None)
    assert taken == [3, 3, 5]
    assert [look.seeds for look in report.looks] == [3, 5]
    assert (report.alpha, report.schedule) == (0.015, (3, 5, 8, 12))
    events = Journal(home / "grown").read()
    assert (events[0]["event"], events[0]["schedule"]) == ("sequential", [3, 5, 8, 12])
    assert [e["seeds"] for e in events if e["event"] == "look"] == [3, 5]
    whole, grown = files_of(home / "whole"), files_of(home / "grown")
    assert whole == grown


def test_too_few_prompts_end_it_at_the_first_look(original: Submission, tmp_path: Path) -> None:
    report = again(original, original.folder.parent / "few", None)
    assert [look.seeds for look in report.looks] == [3]
    assert report.overall == "no_verdict"
