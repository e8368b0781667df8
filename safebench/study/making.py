"""What a worker does: one unit of a study, whose complete result it leaves in the run's folder.

The runner then checks the environment it was made in, seals it and puts it in its place. A worker
keeps what it has loaded for the next unit: the base model, weights, a judge.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import torch

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.model import ApiModel
from safebench.card.results import Environment
from safebench.errors import RunError
from safebench.evidence.claim import same_study
from safebench.evidence.store import Store, disk_full
from safebench.evidence.submission import Submission
from safebench.evidence.tables import RESPONSES, make_table, table_bytes
from safebench.files import replace_file, sha256_of, sha256_of_folder
from safebench.harness.evaluate import Prompt, Response, build_prompts, generate
from safebench.harness.tasks import documents_by_prompt
from safebench.judges.cache import JudgementCache, cache_file
from safebench.judges.interface import Judge
from safebench.judges.judging import keep_grades, marks_of
from safebench.judges.registry import open_judges
from safebench.judges.text import is_unfinished
from safebench.models.interface import BASE, Engine, PlacedWeights
from safebench.models.loading import default_device, free_memory
from safebench.models.registry import OURS
from safebench.models.sampling import Stream
from safebench.study.api_models import RequestDays
from safebench.study.cells import Block
from safebench.study.engines import Settings, environment_of, make_engine
from safebench.study.executors.interface import Unit
from safebench.study.extend import earlier_rows
from safebench.study.judging import graded_tasks
from safebench.study.plan import Plan, make_plan
from safebench.study.training import Checkpoints, Tuned, answers_of, fine_tune
from safebench.tuning.states import States

_LIBRARIES = (
    "safebench",
    "lm-eval",
    "transformers",
    "peft",
    "trl",
    "torch",
    "tokenizers",
    "numpy",
    "scipy",
)
_version, _distributions = cache(version), cache(packages_distributions)
"""Cached, since each call parses files and an environment is compared with every unit."""
_LOOK_AGAIN = 2.0
"""Seconds between looks at whether another part of the grid has finished a fine-tuning."""
Report = Callable[[float, str], None]
"""Called with the amount of work that was done, and a note."""


@dataclass(frozen=True)
class Made:
    """What a unit left in the run's folder."""

    path: Path
    """Relative to `Store.made`."""
    sha256: str
    """Of the file, or of the folder's files."""
    environment: dict[str, Any]
    """The part of the environment that the unit used."""
    seconds: float
    responses: int = 0
    remark: str = ""
    """A line for the person who watches."""
    where: str = field(default_factory=socket.gethostname)
    """Name of the machine."""


@contextmanager
def made_on(host: str, unit: Unit) -> Iterator[None]:
    """Add the unit and its machine to a message about a different environment."""
    try:
        yield
    except RunError as problem:
        raise RunError(f"{unit.name}, on {host}: {problem}", fix=problem.fix) from problem


@dataclass(frozen=True)
class OpenMaker:
    """Makes the same plan in another process, from the run's folder; pickled on the way there."""

    card: Card
    """Of the plan: every digest and seed is filled in, and paths start at the folder."""
    folder: Path
    settings: Settings
    threads: int
    declared: Environment | None
    tuned: Path | None

    def __call__(self) -> Maker:
        """Open it in the worker.

        Raises:
            RunError: the folder, or what the card names, is not the same there.
        """
        where, store = socket.gethostname(), Store(self.folder)
        if not store.work.is_dir():
            raise RunError(
                f"{self.folder}: not there on {where}",
                fix="give --out a folder on storage that all machines share, by one path",
            )
        torch.set_num_threads(self.threads)
        is_ours = self.settings.backend == Settings().backend
        plan = make_plan(Submission(self.card, self.folder), self.folder, elsewhere=not is_ours)
        if same_study(plan.card) != same_study(self.card):
            raise RunError(
                f"{where} finds another model, data or tasks than the machine that started the run",
                fix="put what the card names on storage that all machines share",
            )
        store.seals.begin(plan.card)
        plan = replace(plan, declared=self.declared)
        return Maker(plan, store, self.settings, tuned=self.tuned)


class Maker:
    """Does one unit after another."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        settings: Settings,
        *,
        tuned: Path | None = None,
        report: Report = lambda amount, note: None,
        days: RequestDays | None = None,
    ) -> None:
        """Take a plan, the folder of its run, where results are left, and the run's settings.

        `tuned`: where weights lie that several runs share, if they do; `report` is told of work
        that was done; `days` notes the days on which an API was asked.
        """
        self.plan, self.store, self.settings = plan, store, settings
        self.device = settings.device or default_device()
        self.checkpoints = Checkpoints(plan, store)
        self._tuned, self._report, self._days = tuned, report, days
        self._engine: Engine | None = None
        self._placed: PlacedWeights | None = None
        self._holding = ExitStack()
        self._prompts: list[Prompt] = []
        self._judge: tuple[str, Judge] | None = None

    def __call__(self, unit: Unit) -> Made:
        """Do a unit.

        Raises:
            SafebenchError, MemoryError, OutOfMemoryError: as the work raises them.
            RunError: this machine is not like those where earlier work was done; or the disk is
                full, whatever a library raises then.
        """
        does: dict[str, Callable[[Any], Made]] = {
            "answer": self._answer,
            "tune": self._tune,
            "generate": self._generate,
            "judge": self._grade,
        }
        with made_on(socket.gethostname(), unit):
            self.store.compare_environment(self.environment())
        try:
            return does[unit.kind](unit.given)
        except Exception as problem:
            full = disk_full(problem, self.store.folder)
            if full is None:
                raise
            raise full from problem

    @property
    def engine(self) -> Engine:
        """The engine, made when it is first needed."""
        if self._engine is None:
            self.close()
            self._engine = make_engine(self.plan, self.settings, self.device)
            # Again, since only the engine knows its part of the environment.
            self.store.compare_environment(self.environment())
        return self._engine

    def environment(self) -> dict[str, Any]:
        """Return the environment of this worker, as far as it is known yet."""
        libraries = {name: _version(name) for name in _LIBRARIES}
        if self.settings.backend != OURS:  # vllm, sglang: backends that are packages
            distributions = _distributions().get(self.settings.backend, [])
            libraries |= {name: _version(name) for name in distributions}
        found = {
            "python": platform.python_version(),
            "libraries": libraries,
            "threads": torch.get_num_threads(),
            "batch_size": self.settings.batch_size,
        }
        return found | (environment_of(self._engine, self.plan.declared) if self._engine else {})

    def close(self) -> None:
        """Give back the memory of whatever is loaded."""
        if self._engine is None and self._judge is None:
            return
        self._placed = self._engine = None
        self._holding.close()
        if self._judge is not None:
            self._judge[1].close()
            self._judge = None
        free_memory(idle=True)

    def _use(self, placed: PlacedWeights) -> Engine:
        """Put weights in place, where they stay until others are needed."""
        if self._judge is not None:
            self.close()
        if placed != self._placed:
            self._placed = None
            self._holding.close()
            self._holding.enter_context(self.engine.using(placed))
            self._placed = placed
        return self.engine

    def _made(self, path: Path, sha256: str, began: float, **more: Any) -> Made:
        seconds = round(time.monotonic() - began, 3)
        return Made(path, sha256, self.environment(), seconds, **more)

    def _scratch(self, name: str) -> tuple[Path, Path]:
        """Return where something is made, relative to `Store.made` and in full.

        No two processes share it: one that was thought dead may still be at work.
        """
        path = Path(f"{name}.{socket.gethostname()}-{os.getpid()}")
        return path, self.store.made / path

    def _answer(self, name: str) -> Made:
        began, place = time.monotonic(), self._scratch(f"{name}.jsonl")
        answered = self.plan.answered_set(name)
        engine = self._use(BASE)
        content = answers_of(answered, self.plan, engine, self._report)
        replace_file(place[1], content)
        return self._made(place[0], hashlib.sha256(content).hexdigest(), began)

    def _tune(self, given: tuple[str, int]) -> Made:
        self.close()  # a fine-tuning needs its memory
        began, (condition, seed) = time.monotonic(), given
        path, place = self._scratch(f"{condition}-seed-{seed}")
        shutil.rmtree(place, ignore_errors=True)
        shared = Tuned(self._tuned / f"{condition}-seed-{seed}") if self._tuned else None
        states = self._states(shared.states if shared else self.store.states(given), given)

        def train() -> None:
            fine_tune(
                *(self.plan, self.store.folder, condition, seed, place, self.device),
                report=self._report,
                states=states,
            )

        train() if shared is None else shared.get(place, train, self._wait)
        free_memory(idle=True)
        remark = ""
        if states is not None and states.began_at:
            remark = f"{condition}, training seed {seed}: went on after step {states.began_at}"
        return self._made(path, sha256_of_folder(place), began, remark=remark)

    def _states(self, folder: Path, given: tuple[str, int]) -> States | None:
        """Return where a fine-tuning saves its states; None where it saves none."""
        if not self.settings.save_state_every:
            return None
        made_with = self.environment()
        of = {
            "protocol": self.store.seals.study,
            "condition": given[0],
            "training_seed": given[1],
            "device": torch.cuda.get_device_name() if self.device == "cuda" else self.device,
            "python": made_with["python"],
            **made_with["libraries"],
        }
        return States(folder, of, self.settings.save_state_every * 60)

    def _wait(self) -> None:
        """Wait while another shard trains the weights that both need."""
        self._report(0.0, "another part trains it")
        time.sleep(_LOOK_AGAIN)

    def _generate(self, block: Block) -> Made:
        began, plan = time.monotonic(), self.plan
        path, place = self._scratch(f"{block.name}.parquet")
        placed = self.checkpoints.weights_of(block)
        if placed is None:
            raise RunError(
                f"{block.name}: its weights are not in {self.store.folder} on "
                f"{socket.gethostname()}",
                fix="give --out a folder on storage that all machines share",
            )
        engine = self._use(placed)
        if not self._prompts:
            # Whether an API's prompts are conversations is for its client to say.
            chat = engine.takes_chat if isinstance(plan.card.model, ApiModel) else plan.chat
            system_prompt = plan.card.system_prompt
            self._prompts = build_prompts(
                engine, plan.tasks, chat=chat, system_prompt=system_prompt
            )
        decodings = require(plan.card.decoding, "decoding")
        decoding = next(d for d in decodings if d.name == block.decoding)
        if self._days is not None:
            self._days.begin()
        kept = earlier_rows(self.store, block, self._prompts, decoding)
        answered = {(row["task"], row["prompt_id"]) for row in kept}
        self._report(len(kept), block.name)
        responses = generate(
            engine,
            [p for p in self._prompts if (p.task, str(p.document["prompt_id"])) not in answered],
            decoding,
            Stream(plan.generation_seed, *block.weights, block.decoding),
            batch_size=engine.batch_size,
            on_batch=partial(self._answered, block.name),
        )
        seed = plan.generation_seed if decoding.do_sample else None
        rows = [*kept, *_rows(block, seed, responses, marks_of(plan.card))]
        content = table_bytes(make_table(rows, RESPONSES))
        replace_file(place, content)
        empty = f"{block.name}: all {len(responses)} responses are empty: the model ends at once"
        is_mute = bool(responses) and not any(r.text for r in responses)
        return self._made(
            path,
            hashlib.sha256(content).hexdigest(),
            began,
            responses=len(rows),
            remark=empty if is_mute else "",
        )

    def _answered(self, block: str, count: int) -> None:
        if self._days is not None:
            self._days.answered()
        self._report(count, block)

    def _grade(self, given: tuple[str, str]) -> Made:
        """Grade a block's responses, where the judge has not graded the same text before."""
        began, (name, block) = time.monotonic(), given
        path, place = self._scratch(f"{block}--{name}.jsonl")
        if self._judge is None or self._judge[0] != name:
            self.close()
            entries = [e for e in require(self.plan.card.judge, "judge") if e.name == name]
            self._judge = name, open_judges(entries, self.store.folder, self.device)[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()  # an empty file says that nothing had to be asked
        keep_grades(
            self.store.load(block),
            documents_by_prompt(self.plan.tasks),
            self._judge[1],
            JudgementCache(place, cache_file()),
            graded=graded_tasks(self.plan.card),
            marks=marks_of(self.plan.card),
        )
        return self._made(path, sha256_of(place), began)


def _rows(
    block: Block,
    generation_seed: int | None,
    responses: list[Response],
    marks: tuple[str, str],
) -> list[dict[str, Any]]:
    return [
        {
            **block.place,
            "repeat": response.repeat,
            "generation_seed": generation_seed,
            "task": response.task,
            "prompt_id": response.document["prompt_id"],
            "prompt": response.document["prompt"],
            "response": response.text,
            "status": "truncated" if is_unfinished(response.text, marks) else response.status,
            "new_tokens": response.new_tokens,
        }
        for response in responses
    ]
