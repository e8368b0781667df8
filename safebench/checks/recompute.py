"""The cheapest rerun: every number of a card computed again from the outcomes beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

from safebench.checks.report import check
from safebench.errors import CardError
from safebench.evidence.submission import CARD_FILE, Submission
from safebench.evidence.verdicts import RerunReport, side_of

_MOST = 20
"""Lines that are listed; a forged table differs everywhere."""


def recompute(submission: Submission) -> RerunReport:
    """Compute every number of a card again from its outcomes; compare them to the last digit.

    What contradicts itself in the folder (rules SB-EVI) is listed too: numbers that follow from
    tables which are not those of the card show nothing.

    Raises:
        CardError: the card has no results.
        EvidenceError: the outcomes cannot be read.
    """
    reported = submission.card.given_results
    if reported is None:
        raise CardError("the card has no results to recompute", fix="execute it: safebench run")
    before, now = (
        dict(_numbers(results.model_dump(mode="json"), "results"))
        for results in (reported, submission.results)
    )
    lines = [
        f"{name} is {value}, the outcomes give {now.get(name, 'none')}"
        for name, value in before.items()
        if value != now.get(name)
    ]
    for finding in check(submission.path(CARD_FILE)).findings:
        if finding.severity == "error" and finding.rule.startswith("SB-EVI"):
            lines.append(f"{finding.pointer}: {finding.message} ({finding.rule})")
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    side = side_of(submission)
    return RerunReport(
        kind="recompute",
        original=side,
        rerun=side,
        planned_seeds=0,
        checkpoint_unit=cast("Literal['epoch', 'step']", submission.card.checkpoint_unit),
        verdicts=(),
        changes=(),
        overall="not_reproduced" if lines else "reproduced",
        environment_differences=(),
        numbers=len(before),
        contradictions=tuple(dict.fromkeys([*lines[:_MOST], *more])),
    )


def _numbers(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every number of results with its place; None is one that was not measured."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _numbers(item, f"{name}[{place}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value
