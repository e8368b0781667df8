"""What plain `lm_eval run` counts on our tasks: the rule judge's scores.

`safebench run` judges responses itself, so that another judge can read the same responses.
"""

from __future__ import annotations

from typing import Any

from safebench.judges.rule import rule_of


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """Return the document's metric, named by its construct, for its first response."""
    first = results[0]
    response = first[0] if isinstance(first, list) else first
    rule = rule_of("safebench/refusal-rule", "1")
    decision = rule(doc["construct"], doc["prompt"], response, doc["target"] or None)
    return {doc["construct"]: decision.score}
