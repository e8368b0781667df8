"""Judging a study's responses, writing its evidence and filling in its card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from safebench.card.card import SPEC, Card
from safebench.card.environment import Environment
from safebench.card.io import dump_card
from safebench.card.model import Weights
from safebench.card.results import Evidence, RegisteredRun
from safebench.card.training import FullTraining
from safebench.evidence.manifest import MANIFEST_FILE, describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.store import Store
from safebench.evidence.tables import OUTCOMES_FILE, RESPONSES_FILE, sort_table, write_table
from safebench.files import replace_file, sha256_of
from safebench.judges.cache import JudgementCache
from safebench.study.cells import weights_folder
from safebench.study.judging import judge_responses
from safebench.study.open_judges import open_judges, with_days
from safebench.study.plan import Plan
from safebench.study.progress import Progress
from safebench.tuning.train import weights_file

CARD_FILE = "card.yaml"


def write_submission(
    plan: Plan, store: Store, environment: Environment, progress: Progress
) -> Card:
    """Judge, write the evidence, fill the card."""
    responses = sort_table(pa.concat_tables([store.load(block.name) for block in plan.blocks]))
    judges = open_judges(plan.card, store.folder)
    cache = JudgementCache(store.work / "judgements.jsonl")
    progress.start("judge", responses.num_rows * len(judges))
    outcomes = judge_responses(responses, plan.tasks, plan.card, judges, progress, cache)
    progress.stop()
    folder = store.folder
    write_table(responses, folder / RESPONSES_FILE)
    write_table(outcomes, folder / OUTCOMES_FILE)
    for name, source in plan.files.items():
        replace_file(folder / name, source.read_bytes())
    weights = _weights(plan, folder)
    paths = [
        OUTCOMES_FILE,
        RESPONSES_FILE,
        *plan.files,
        *_below(folder, "adapters"),
    ]
    files = describe_files(folder, paths)
    write_manifest(folder, files)
    card = with_days(plan.card, judges).model_copy(
        update={
            "spec": SPEC,
            "model": plan.card.model.model_copy(update={"weights": weights or None}),
            "environment": environment,
            "evidence": Evidence(
                manifest=MANIFEST_FILE,
                files=files,
                response_policy="redacted",
                runs=tuple(_registered(plan)),
            ),
        }
    )
    card = card.model_copy(update={"results": compute_results(card, outcomes)})
    card = Card.model_validate_json(card.model_dump_json())
    dump_card(card, folder / CARD_FILE)
    return card


def _below(folder: Path, name: str) -> list[str]:
    files = (folder / name).rglob("*")
    return [path.relative_to(folder).as_posix() for path in files if path.is_file()]


def _weights(plan: Plan, folder: Path) -> tuple[Weights, ...]:
    """List the weights that made the responses, by condition, training seed and checkpoint."""
    found = []
    full = isinstance(plan.card.hyperparameters, FullTraining)
    for condition, seed, checkpoint in dict.fromkeys(
        (b.condition, b.training_seed, b.checkpoint) for b in plan.blocks
    ):
        if condition != "base" and seed is not None and checkpoint is not None:
            path = weights_folder(folder, condition, seed) / f"checkpoint-{checkpoint}"
            found.append(
                Weights(
                    condition=condition,
                    form="full" if full else "adapter",
                    training_seed=seed,
                    checkpoint=checkpoint,
                    path=path.relative_to(folder).as_posix(),
                    sha256=sha256_of(weights_file(path)),
                )
            )
    return tuple(found)


def _registered(plan: Plan) -> Iterator[RegisteredRun]:
    for condition, seed in dict.fromkeys((b.condition, b.training_seed) for b in plan.blocks):
        yield RegisteredRun(training_seed=seed, condition=condition, status="finished")
