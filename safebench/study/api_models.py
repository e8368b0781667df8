"""A model behind an API: what a run needs to know of it, its names, its file, its request days.

Nothing is fine-tuned or loaded here: the base model and what the provider made of it are names that
a server knows. One fine-tuning job gives one model, so that its recipe has one checkpoint.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from safebench.card.base import NotReported, Unpinnable, require
from safebench.card.card import Card
from safebench.card.model import ApiJob, ApiModel
from safebench.card.training import NoTraining, Training
from safebench.errors import CardError, ModelError
from safebench.evidence.journal import Journal
from safebench.files import sha256_of
from safebench.models.interface import PlacedWeights
from safebench.models.loading import Located
from safebench.study.cells import training_seeds

ASKED = "asked"
"""Event of the journal: requests were made on a day, and answered."""
_FILE = ".gguf"


def check_served(card: Card, model: ApiModel, *, elsewhere: bool) -> None:
    """Check that a card says what is needed to query its model and the ones tuned from it.

    Raises:
        CardError: names the field and what it needs; or no client of a server was named.
    """
    if not elsewhere:
        raise CardError(
            "model.access is `api`, so a server answers for it; the backend `hf` loads weights",
            fix="name a client of the server: --backend local-chat-completions --backend-args "
            "base_url=http://HOST:PORT/v1/chat/completions, or --backend openai-chat-completions",
        )
    require(model.base.id, "model.base.id")
    require(model.snapshot, "model.snapshot")
    recipe = require(card.hyperparameters, "hyperparameters")
    if isinstance(recipe, NoTraining):
        return
    jobs = require(model.jobs, "model.jobs")
    _check_jobs(jobs or (), require(model.snapshot, "model.snapshot"))
    training = cast("Training", recipe)
    checkpoints = require(training.checkpoints, "hyperparameters.checkpoints")
    require(training.checkpoint_unit, "hyperparameters.checkpoint_unit")
    if len(checkpoints) != 1:
        raise CardError(
            f"hyperparameters.checkpoints has {len(checkpoints)} entries, but a job of a provider "
            "gives one model",
            fix="give the epoch (or step) after which it ended, as the only one",
        )
    for number, dataset in enumerate(() if isinstance(card.data, NotReported) else card.data):
        if dataset.role == "control":
            raise CardError(
                f"data[{number}].role is `control`, and model.jobs names tuned models alone",
                fix="leave the control out, or run it where its weights can be loaded",
            )


def _check_jobs(jobs: tuple[ApiJob, ...], base: str) -> None:
    if not jobs:
        raise CardError(
            "model.jobs is missing: the fine-tuning happened at the provider, and is not done here",
            fix="list {training_seed, job, snapshot} of every fine-tuning, or set "
            "hyperparameters.method: none for an untuned model",
        )
    places = {base: "model.snapshot"}
    seeds: dict[int, str] = {}
    for number, job in enumerate(jobs):
        place = f"model.jobs[{number}]"
        seed = require(job.training_seed, f"{place}.training_seed")
        snapshot = require(job.snapshot, f"{place}.snapshot")
        if seed in seeds:
            raise CardError(
                f"{place}: training seed {seed} is that of {seeds[seed]} too",
                fix="list every job once, under the seed that it was given",
            )
        if snapshot in places:
            raise CardError(
                f"{place}.snapshot {snapshot!r} is that of {places[snapshot]} too: one model "
                "would answer for both",
                fix="give the name of the model that came out of this job",
            )
        seeds[seed], places[snapshot] = place, place


def names_of(model: ApiModel) -> dict[int | None, str]:
    """Return the provider's names of the base model (None) and the tuned ones, by training seed."""
    names: dict[int | None, str] = {None: require(model.snapshot, "model.snapshot")}
    for job in require(model.jobs, "model.jobs") or ():
        names[require(job.training_seed, "model.jobs.training_seed")] = require(
            job.snapshot, "model.jobs.snapshot"
        )
    return names


def weights_of_jobs(
    card: Card, model: ApiModel
) -> dict[tuple[str, int | None, int | None], PlacedWeights]:
    """Return the tuned models of a card whose seeds are filled in, by the block's `weights`.

    Raises:
        CardError: a training seed has no job, or a job's seed is not the protocol's.
    """
    recipe = card.hyperparameters
    if not isinstance(recipe, Training):
        return {}
    training = training_seeds(card)
    seeds = training if isinstance(training, tuple) else ()
    listed = {seed for seed in names_of(model) if seed is not None}
    for seed in seeds:
        if seed not in listed:
            raise CardError(
                f"model.jobs lists no job for training seed {seed}; seeds.training has "
                f"{', '.join(map(str, seeds))}",
                fix="list the job of every training seed; seeds of a provider's own are declared: "
                "seeds.scheme: declared",
            )
    for seed in sorted(listed - set(seeds)):
        raise CardError(
            f"model.jobs lists training seed {seed}, which seeds.training does not have",
            fix="list every seed that was trained in seeds.training, or remove the job",
        )
    checkpoint = require(recipe.checkpoints, "hyperparameters.checkpoints")[0]
    return {
        ("tuned", seed, checkpoint): PlacedWeights(
            "tuned", seed, checkpoint, "full", None, card.checkpoint_unit
        )
        for seed in seeds
    }


def locate_served(model: ApiModel, folder: Path) -> tuple[Located, bool]:
    """Locate a served base model; tell whether its file is here, relative to `folder`.

    A local file is digested and compared with the revision, if the card gives one. For a file that
    is on its server, the card's digest is taken.

    Raises:
        CardError: nothing says which model it is.
        ModelError: the file is not the one of the revision.
    """
    name, revision = require(model.base.id, "model.base.id"), model.base.revision
    path = folder / name
    if name.lower().endswith(_FILE) and path.is_file():
        found = f"sha256:{sha256_of(path)}"
        if isinstance(revision, str) and revision != found:
            raise ModelError(
                f"model.base.id: {path} has digest {found}, but the card says {revision}",
                fix="serve the file that the card is about, or leave the revision out to pin this",
            )
        return Located(name, None, found), True
    if revision is None:
        is_file = name.lower().endswith(_FILE)
        raise CardError(
            f"model.base.id: {path}: no such file, and model.base.revision is missing"
            if is_file
            else "model.base.revision is missing: nothing says which model the server had",
            fix="give revision: {unpinnable: why nothing immutable names it}, or `sha256:` and the "
            f"digest of its {_FILE} file",
        )
    return Located(name, None, revision if isinstance(revision, str) else ""), False


class RequestDays:
    """Records in the journal on which days (UTC) a model that nothing pins was queried."""

    def __init__(self, journal: Journal) -> None:
        """Take a run's journal; days that it has are not noted again."""
        self._journal = journal
        self._noted = set(days_asked(journal))
        self._since: str | None = None

    def begin(self) -> None:
        """Mark that requests are about to be made."""
        self._since = _today()

    def answered(self) -> None:
        """Note in the journal the days on which the request just answered was under way."""
        today = _today()
        for day in (self._since, today):
            if day is not None and day not in self._noted:
                self._journal.note(ASKED, day=day)
                self._noted.add(day)
        self._since = today


def days_asked(journal: Journal) -> list[str]:
    """Return the days on which requests were made over all sessions, in order."""
    return sorted({str(e["day"]) for e in journal.read() if e["event"] == ASKED and "day" in e})


def is_dated(card: Card) -> bool:
    """Tell whether a card identifies its model by the days of the requests."""
    return isinstance(card.model, ApiModel) and isinstance(card.model.base.revision, Unpinnable)


def with_request_days(card: Card, journal: Journal) -> Card:
    """Return a card with the days on which its unpinnable model was asked, tuned ones included."""
    base, days = card.model.base, days_asked(journal)
    if not days or not is_dated(card) or not isinstance(base.revision, Unpinnable):
        return card
    asked = {"first_request": days[0], "last_request": days[-1]}
    base = base.model_copy(update={"revision": base.revision.model_copy(update=asked)})
    return card.model_copy(update={"model": card.model.model_copy(update={"base": base})})


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
