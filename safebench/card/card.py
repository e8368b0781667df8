"""The card: a protocol, and, once it was executed, what it produced."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from safebench.card.base import NotReported, Reported, Section, TaskName, Text, require
from safebench.card.data import Dataset
from safebench.card.decoding import Decoding, Prompting
from safebench.card.judge import Judge
from safebench.card.model import ApiModel, Model, WeightsModel
from safebench.card.results import Environment, Evidence, Results
from safebench.card.seeds import Seeds
from safebench.card.submission import SubmissionInfo
from safebench.card.task import Construct, Task
from safebench.card.training import Hyperparameters, NoTraining
from safebench.errors import CardError

SPEC = "safebench/1.0"


class Card(Section):
    """One recipe: a base model, what was done to it, how it was measured, what came out."""

    spec: Annotated[str, StringConstraints(pattern=r"^safebench/1\.(0|[1-9][0-9]{0,5})$")]
    """Version of the standard, `safebench/1.0`."""
    unstated: Text | None = None
    """Why a field that should be given and is left out is `not_reported`, for all of them at once:
    `the paper does not say`."""
    submission: SubmissionInfo
    """What this card is and who submits it."""
    model: Model
    """What was fine-tuned."""
    data: Reported[tuple[Dataset, ...]] = ()
    """Training data; empty only for an untuned model."""
    hyperparameters: Reported[Hyperparameters]
    """How it was fine-tuned."""
    seeds: Reported[Seeds]
    """Where randomness comes from."""
    decoding: Reported[tuple[Decoding, ...]]
    """Every generation setting that was measured."""
    prompting: Reported[Prompting] = Prompting()
    """What surrounds a prompt."""
    judge: Reported[tuple[Judge, ...]]
    """Who decides what a response is."""
    tasks: Reported[tuple[TaskName | Task, ...]]
    """What is measured: names of tasks, or names with details."""
    environment: Reported[Environment] | None = None
    """What the numbers were made with; filled by a run."""
    results: Reported[Results] | None = None
    """What was measured; absent in a plan."""
    evidence: Reported[Evidence] | None = None
    """The files behind the numbers; absent in a plan."""

    def task_list(self) -> tuple[Task, ...]:
        """Return the tasks with bare names turned into entries; empty when not reported."""
        if isinstance(self.tasks, NotReported):
            return ()
        return tuple(Task(name=t) if isinstance(t, str) else t for t in self.tasks)

    @property
    def loadable_model(self) -> WeightsModel:
        """The model, whose weights can be loaded; raises CardError for one behind an API."""
        if isinstance(self.model, WeightsModel):
            return self.model
        raise CardError(
            "model.access is `api`, and this needs weights that can be loaded",
            fix="give a card whose model has access `weights`",
        )

    @property
    def is_trained_elsewhere(self) -> bool:
        """Whether the card lists tuned weights, or an API has them; raises CardError if unknown."""
        model = self.model
        return isinstance(model, ApiModel) or bool(require(model.weights, "model.weights"))

    @property
    def system_prompt(self) -> str | None:
        """The system prompt, which training examples get as well; raises CardError if unknown."""
        return require(
            require(self.prompting, "prompting").system_prompt, "prompting.system_prompt"
        )

    @property
    def is_to_be_run(self) -> bool:
        """Whether it is a plan of one's own.

        Whoever measures a released model, an artefact, plans a run too, whoever made the model.
        """
        info = self.submission
        return (
            (info.relationship == "first_party" or info.object == "artefact")
            and self.unstated is None
            and self.results is None
            and self.evidence is None
        )

    @property
    def is_described(self) -> bool:
        """Whether it tells of somebody else's work: no default speaks for that."""
        third = self.submission.relationship == "third_party" and self.evidence is None
        return self.unstated is not None or (third and not self.is_to_be_run)

    @property
    def trials(self) -> dict[str, str]:
        """What was limited to the first prompts: name of the task -> how many of how many."""
        return {task.name: task.trial for task in self.task_list() if task.trial is not None}

    @property
    def checkpoint_unit(self) -> str:
        """What checkpoints are counted in: `epoch` or `step`."""
        unit = getattr(self.hyperparameters, "checkpoint_unit", None)
        return unit if isinstance(unit, str) else "epoch"

    def answering_judge(self, named: str, construct: Construct) -> str:
        """Return whose verdict answers for a construct in an estimand that names a judge.

        It is the judge named, unless others say that they decide the construct: then the primary
        one of those.
        """
        judges = () if isinstance(self.judge, NotReported) else self.judge
        deciding = [j for j in judges if j.constructs is not None and construct in j.constructs]
        if not deciding or named in {judge.name for judge in deciding}:
            return named
        return next((j.name for j in deciding if j.primary), deciding[0].name)

    @property
    def given_results(self) -> Results | None:
        """What was measured; None in a plan, and where it is not reported."""
        return None if isinstance(self.results, NotReported) else self.results

    @property
    def given_evidence(self) -> Evidence | None:
        """The files behind the numbers; None where there are none, or they are not reported."""
        return None if isinstance(self.evidence, NotReported) else self.evidence

    @property
    def is_tuned(self) -> bool:
        """Whether the recipe fine-tunes anything."""
        return not isinstance(self.hyperparameters, NoTraining)
