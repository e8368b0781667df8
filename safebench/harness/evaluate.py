"""Getting a model's responses to tasks through lm-eval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval import evaluator

from safebench.card.base import known
from safebench.card.decoding import Decoding
from safebench.errors import ModelError
from safebench.harness.tasks import LoadedTask, quiet
from safebench.models.lm import SafebenchLM
from safebench.models.rng import preserved_random_state
from safebench.models.sampling import Stream


@dataclass(frozen=True)
class Response:
    """One response to one prompt."""

    task: str
    document: dict[str, Any]
    repeat: int
    text: str
    status: str
    new_tokens: int


def generate(
    lm: SafebenchLM,
    tasks: Sequence[LoadedTask],
    decoding: Decoding,
    stream: Stream,
    *,
    chat: bool,
    system_prompt: str | None,
    on_batch: Callable[[int], None],
) -> list[Response]:
    """Return the responses of one model under one decoding to every prompt of the tasks.

    Repeats of a prompt share a batch. lm-eval builds the prompts; `chat` applies the tokenizer's
    template.

    Raises:
        ModelError: the model failed on a prompt.
    """
    for loaded in tasks:
        loaded.task.set_config(key="generation_kwargs", value=_settings(decoding))
        loaded.task.set_config(key="repeats", value=known(decoding.repeats, "decoding.repeats"))
    lm.stream, lm.on_batch = stream, on_batch
    limit = _limits(tasks)
    try:
        with quiet(), preserved_random_state():
            result = evaluator.evaluate(
                lm,
                {loaded.name: loaded.task for loaded in tasks},
                samples=limit,
                bootstrap_iters=0,
                apply_chat_template=chat,
                system_instruction=system_prompt,
            )
    except (RuntimeError, ValueError, IndexError) as problem:
        raise ModelError(f"generation failed ({decoding.name}): {problem}") from problem
    return _collect(lm, tasks, result["samples"], int(known(decoding.repeats, "decoding.repeats")))


def _limits(tasks: Sequence[LoadedTask]) -> dict[str, list[int]]:
    return {loaded.name: list(range(len(loaded.documents))) for loaded in tasks}


def _settings(decoding: Decoding) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "until": list(known(decoding.stop, "decoding.stop")),
        "do_sample": decoding.do_sample,
        "max_gen_toks": known(decoding.max_new_tokens, "decoding.max_new_tokens"),
        "repetition_penalty": known(decoding.repetition_penalty, "decoding.repetition_penalty"),
    }
    if decoding.do_sample:
        for name in ("temperature", "top_p", "top_k", "min_p"):
            value = known(getattr(decoding, name), f"decoding.{name}")
            if value is not None:
                settings[name] = value
        settings.setdefault("temperature", 1.0)
    return settings


def _collect(
    lm: SafebenchLM, tasks: Sequence[LoadedTask], samples: dict[str, list[Any]], repeats: int
) -> list[Response]:
    """Join lm-eval's samples with what the model noted beside the text, in request order."""
    noted = iter(lm.generated)
    responses = []
    for loaded in tasks:
        for sample in sorted(samples[loaded.name], key=lambda s: int(s["doc_id"])):
            texts = sample["resps"][0]
            for repeat in range(1, repeats + 1):
                generated = next(noted)
                if texts[repeat - 1] != generated.text:
                    raise ModelError("lm-eval returned responses in another order than asked for")
                responses.append(
                    Response(
                        loaded.name,
                        dict(sample["doc"]),
                        repeat,
                        generated.text,
                        generated.status,
                        generated.new_tokens,
                    )
                )
    return responses
