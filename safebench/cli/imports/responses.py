"""`safebench import responses`: any sampler's prompts and responses, as a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from safebench.cli.imports import places
from safebench.cli.imports.options import common, execute
from safebench.errors import InteropError, visible

_KINDS = ("rule", "classifier", "llm", "human", "moderation_api")


@click.command(name="responses", short_help="A table of prompts and responses.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN",
              help="Column that holds a field, where it has another name.")  # fmt: skip
@click.option("--set", "defaults", multiple=True, metavar="FIELD=VALUE",
              help="Value of a field that no column has, e.g. --set condition=base.")  # fmt: skip
@click.option("--verdicts-by", "judge", metavar="KIND[:ID]",
              help="Who gave the verdicts that came along: rule, classifier, llm, human or "
              "moderation_api, and which one.")  # fmt: skip
@click.option("--repeats-in-order", is_flag=True,
              help="Number several responses to one prompt as they come.")  # fmt: skip
@click.option("--checkpoint", type=click.IntRange(min=1), metavar="N",
              help="Epoch (or step) of the tuned models where no column says it.")  # fmt: skip
@common
def command(
    files: tuple[Path, ...],
    columns: tuple[str, ...],
    defaults: tuple[str, ...],
    judge: str | None,
    repeats_in_order: bool,
    **given: Any,
) -> None:
    """Make a submission of FILES: JSON Lines, JSON, CSV or Parquet, a row per response.

    \b
    Fields: task, prompt or prompt_id, response, condition (base, tuned, control), training_seed,
    checkpoint, decoding (a name); where there are several: repeat; where known: status or
    finish_reason, new_tokens, generation_seed, category, target, verdict, score.
    Other columns are kept beside the responses.

    The settings of a decoding are given with --decoding or in --card.

    \b
    safebench import responses answers.jsonl --column response=output --set task=safebench_xstest \\
        --decoding greedy:do_sample=false,max_new_tokens=256 --out submission
    """
    from safebench.importing.response_tables import read_responses

    values = places.pairs(defaults, "--set", "FIELD=VALUE")
    if repeats_in_order:
        values["repeat"] = "in-order"
    collected = read_responses(
        files,
        places.pairs(columns, "--column", "FIELD=COLUMN"),
        values,
        None if judge is None else _judge(judge),
    )
    execute(collected, **given)


def _judge(text: str) -> dict[str, str]:
    kind, _, identifier = text.partition(":")
    if kind not in _KINDS:
        raise InteropError(
            f"--verdicts-by {visible(repr(text))}: no such kind of judge",
            fix=f"it is one of {', '.join(_KINDS)}, e.g. --verdicts-by human",
        )
    name = re.sub(r"[^a-z0-9_.-]+", "-", (identifier or kind).lower()).strip("-.")[:64] or kind
    found = {"name": name, "kind": kind}
    return {**found, "id": identifier} if identifier else found
