"""The end of a run: its responses are judged, its evidence is written and its card filled in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pyarrow as pa

from safebench.card.base import require
from safebench.card.card import SPEC, Card
from safebench.card.model import Model, Weights, WeightsModel
from safebench.card.results import Condition, Environment, Evidence, RegisteredRun
from safebench.card.training import FullTraining
from safebench.evidence.manifest import MANIFEST_FILE, describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.store import Store
from safebench.evidence.submission import CARD_FILE
from safebench.evidence.tables import OUTCOMES_FILE, RESPONSES_FILE, sort_table, write_table
from safebench.harness.tasks import documents_by_prompt
from safebench.judges.cache import JudgementCache, cache_file
from safebench.judges.registry import open_judges
from safebench.models.weights import weights_sha256
from safebench.progress import Progress
from safebench.study.api_models import with_request_days
from safebench.study.calibrating import write_card
from safebench.study.cells import Block, runs_of, weights_folder
from safebench.study.judging import decide
from safebench.study.plan import Plan


def write_submission(
    plan: Plan,
    store: Store,
    environment: Environment,
    progress: Progress,
    device: str = "cpu",
) -> Card:
    """Judge what was generated, on `device`, and write the submission, its card last.

    Returns the card. The caller has released the memory of what generated.
    """
    lost = store.journal.lost()
    blocks = [block for block in plan.blocks if block.run not in lost]
    responses = sort_table(pa.concat_tables([store.load(block.name) for block in blocks]))
    judges = open_judges(require(plan.card.judge, "judge"), store.folder, device)
    documents = documents_by_prompt(plan.tasks)
    cache = JudgementCache(cache_file())
    outcomes = decide(plan.card, responses, documents, judges, progress, cache)
    folder = store.folder
    write_table(responses, folder / RESPONSES_FILE)
    write_table(outcomes, folder / OUTCOMES_FILE)
    weights = _weights(plan, blocks, folder)
    paths = [
        OUTCOMES_FILE,
        RESPONSES_FILE,
        *plan.files,
        *(one.path for one in plan.self_answered if (folder / one.path).is_file()),
        *(
            path.relative_to(folder).as_posix()
            for path in (folder / "adapters").rglob("*")
            if path.is_file()
        ),
    ]
    files = describe_files(folder, paths)
    write_manifest(folder, files)
    card = plan.with_answers(folder).model_copy(
        update={"judge": tuple(judge.recorded() for judge in judges.values())}
    )
    card = with_request_days(card, store.journal)
    card = card.model_copy(
        update={
            "spec": SPEC,
            "model": with_weights(card, weights or None),
            "environment": environment,
            "evidence": Evidence(
                manifest=MANIFEST_FILE,
                files=files,
                response_policy="redacted",
                runs=tuple(_registered_runs(plan, store)),
            ),
        }
    )
    card = card.model_copy(update={"results": compute_results(card, outcomes)})
    return write_card(card, folder / CARD_FILE)


def with_weights(card: Card, weights: object) -> Model:
    """Return the model of a card with these weights; a model behind an API has none."""
    if not isinstance(card.model, WeightsModel):
        return card.model
    return card.model.model_copy(update={"weights": weights})


def _weights(plan: Plan, blocks: list[Block], folder: Path) -> tuple[Weights, ...]:
    """List the weights that made the responses, by condition, training seed and checkpoint."""
    if not isinstance(plan.card.model, WeightsModel):
        return ()
    listed = {
        (entry.condition, entry.training_seed, entry.checkpoint): entry
        for entry in require(plan.card.model.weights, "model.weights") or ()
    }
    full = isinstance(plan.card.hyperparameters, FullTraining)
    found = []
    for condition, seed, checkpoint in dict.fromkeys(b.weights for b in blocks):
        if condition == "base" or seed is None or checkpoint is None:
            continue
        path = weights_folder(folder, condition, seed) / f"checkpoint-{checkpoint}"
        entry = listed.get((condition, seed, checkpoint))
        if entry is not None and not path.is_dir():
            found.append(entry)  # it stays where it lies
            continue
        found.append(
            Weights(
                condition=condition,
                form=("full" if full else "adapter") if entry is None else entry.form,
                training_seed=seed,
                checkpoint=checkpoint,
                path=path.relative_to(folder).as_posix(),
                sha256=weights_sha256(path) if entry is None else entry.sha256,
            )
        )
    return tuple(found)


def _registered_runs(plan: Plan, store: Store) -> Iterator[RegisteredRun]:
    """Yield every registered run in the order of the grid, however it ended."""
    states = store.journal.states()
    for condition, seed in runs_of(plan.blocks):
        state = states[condition, seed]
        yield RegisteredRun(
            training_seed=seed,
            condition=cast("Condition", condition),
            status="finished" if state.status == "registered" else state.status,
            reason=state.reason,
        )
