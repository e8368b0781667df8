"""Whether a verdict is what the two submissions beside it give when compared again."""

from __future__ import annotations

import math
from typing import Any

from safebench.analysis.verdict import compare
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import RerunReport

_TOLERANCE = 1e-9


def verdict_problems(verdict: RerunReport, original: Submission, rerun: Submission) -> list[str]:
    """Return what in verdict.json differs from the verdict computed again, a line each.

    Raises:
        InputError: the two cannot be compared at all.
    """
    found = compare(original, rerun, reported=verdict).model_dump(mode="json")
    return list(_differences("verdict.json", verdict.model_dump(mode="json"), found))


def _differences(place: str, stated: Any, found: Any) -> list[str]:
    if isinstance(stated, dict) and isinstance(found, dict):
        return [
            line
            for key in stated | found
            # Whoever has no responses cannot tell; what `true` changes is in the other fields.
            if not (key == "identical" and None in (stated.get(key), found.get(key)))
            for line in _differences(f"{place} {key}", stated.get(key), found.get(key))
        ]
    if isinstance(stated, list) and isinstance(found, list) and len(stated) == len(found):
        return [
            line
            for i, (a, b) in enumerate(zip(stated, found, strict=True))
            for line in _differences(f"{place}[{i}]", a, b)
        ]
    if isinstance(stated, float) and isinstance(found, float):
        same = math.isclose(stated, found, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    else:
        same = bool(stated == found)
    return [] if same else [f"{place} is {stated!r}, recomputed {found!r}"]
