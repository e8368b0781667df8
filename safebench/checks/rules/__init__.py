"""The rules of spec/v1/rules.md, one small file per section of a card; importing registers them."""

from safebench.checks.rules import (
    data,
    decoding,
    evidence,
    hyperparameters,
    judge,
    model,
    numbers,
    results,
    runs,
    seeds,
    structure,
    submission,
    tasks,
)

__all__ = [
    "data",
    "decoding",
    "evidence",
    "hyperparameters",
    "judge",
    "model",
    "numbers",
    "results",
    "runs",
    "seeds",
    "structure",
    "submission",
    "tasks",
]
