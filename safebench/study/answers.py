"""Training data that the base model writes itself: the control of experiment E4.

The questions of another set are answered through the same path as any prompt: the same model,
chat template, decoding and sampling. The noise of an answer has the key of condition `base`, task
`data/NAME`, the question's number and repeat 1 (spec/v1/sampling.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safebench.card.base import require
from safebench.card.data import Dataset
from safebench.card.decoding import Decoding
from safebench.errors import CardError
from safebench.evidence.store import Store
from safebench.files import replace_file
from safebench.harness.evaluate import Prompt, generate
from safebench.models.interface import Engine, PlacedWeights
from safebench.models.sampling import Stream
from safebench.progress import Progress


@dataclass(frozen=True)
class SelfAnswered:
    """A set whose answers the base model gives itself."""

    dataset: Dataset
    questions: tuple[Any, ...]
    """Prompts of the set that is asked, in its order: texts, or lists of messages."""
    decoding: Decoding
    """How the answers are generated; one for every question."""

    @property
    def rendering(self) -> str:
        """How the file's rows become training text: its prompts are rendered already."""
        return "plain" if isinstance(self.questions[0], str) else "chat"

    @property
    def path(self) -> str:
        """Where the set lies in the submission."""
        return f"data/{self.dataset.name}.jsonl"


def write_answers(
    answered: SelfAnswered,
    store: Store,
    engine: Callable[[], Engine],
    generation_seed: int,
    *,
    chat: bool,
    progress: Progress,
) -> None:
    """Write a self-answered set into the run's folder, unless it is there.

    Raises:
        ModelError: the base model failed on a question.
        CardError: the card has the digest of other answers.
    """
    target = store.folder / answered.path
    if target.is_file():
        return
    name = answered.dataset.name
    prompts = [
        Prompt(
            f"data/{name}",
            {"prompt_id": str(number)},
            _context(question, engine(), chat=chat),
        )
        for number, question in enumerate(answered.questions, start=1)
    ]
    progress.start("answer", len(prompts))
    decoding = answered.decoding.model_copy(update={"repeats": 1, "repeat_control": False})
    with engine().using(PlacedWeights("base", None, None, "base", None)):
        responses = generate(
            engine(),
            prompts,
            decoding,
            Stream(generation_seed, "base", None, None, decoding.name),
            batch_size=engine().batch_size,
            on_batch=lambda count: progress.advance(count, name),
        )
    progress.stop()
    rows = (
        {"prompt": question, "completion": _completion(question, response.text)}
        for question, response in zip(answered.questions, responses, strict=True)
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    digest, reported = hashlib.sha256(text).hexdigest(), answered.dataset.sha256
    if isinstance(reported, str) and reported != digest:
        raise CardError(
            f"data ({name}).sha256 is {reported}, but the answers given here have {digest}",
            fix="remove the value to train on the answers of this machine",
        )
    replace_file(target, text)


def _context(question: Any, engine: Engine, *, chat: bool) -> Any:
    """Return a question as the model is given it; one that is text is rendered already."""
    if isinstance(question, str) or not chat:
        return question if isinstance(question, str) else question[-1]["content"]
    return engine.apply_chat_template(list(question), add_generation_prompt=True)


def _completion(question: Any, answer: str) -> Any:
    return answer if isinstance(question, str) else [{"role": "assistant", "content": answer}]


def chosen_decoding(dataset: Dataset, decodings: tuple[Decoding, ...]) -> Decoding:
    """Return the decoding that a set's answers name; a rule has checked that it is declared."""
    answers = require(dataset.answers, f"data {dataset.name}: answers")
    assert answers is not None  # noqa: S101 - for the type checker
    return next(d for d in decodings if d.name == answers.decoding)
