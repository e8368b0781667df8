"""Writes the tables of docs/formats.md, which are those that the readers use."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from safebench.importing import harmbench, tables
from safebench.importing.fields import Fields
from safebench.importing.inspect import fields as inspect
from safebench.importing.lm_eval import fields as lm_eval
from safebench.importing.training import adapter, trainer

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
START, END = "<!-- tables -->\n", "<!-- end of tables -->\n"
FORMATS: dict[str, dict[str, Fields]] = {
    "lm-eval": {
        "`results_*.json`": lm_eval.RESULTS,
        "its `config`": lm_eval.CONFIG,
        "each task in its `configs`": lm_eval.TASK,
        "a row of `samples_*.jsonl`": {**lm_eval.SAMPLE, **lm_eval.HASHES},
    },
    "Inspect": {
        "a log": inspect.LOG,
        "its `eval`": inspect.EVAL,
        "settings of generation": inspect.GENERATE,
        "a sample": inspect.SAMPLE,
    },
    "HarmBench": {"a completion": harmbench.FIELDS},
    "Tables of responses": {"a column": tables.MEANINGS},
    "PEFT": {"`adapter_config.json`": adapter.PEFT},
    "transformers and trl": {
        "`training_args.json` or `.yaml`": trainer.ARGUMENTS,
        "`trainer_state.json`": trainer.STATE,
    },
}
"""By program and file: what becomes of its fields."""


def rendered() -> str:
    """Return the tables."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for program, parts in FORMATS.items():
        yield f"\n## {program}"
        for name, fields in parts.items():
            yield f"\n| {name} | becomes | |\n|---|---|---|"
            for field, keys in groupby(fields, key=fields.get):
                names = ", ".join(f"`{key}`" for key in keys)
                yield f"| {names} | {field.fate} | {field.note} |"


def page() -> str:
    """Return the page with its tables."""
    before, _, rest = PAGE.read_text().partition(START)
    return before + START + rendered() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page())
