"""Getting a model's responses to tasks: lm-eval builds the prompts, an engine answers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance

from safebench.card.base import require
from safebench.card.decoding import SAMPLING_FIELDS, Decoding
from safebench.errors import ModelError, TaskError
from safebench.harness.tasks import LoadedTask
from safebench.models.conversation import LEFT_OUT, missing_from, plain
from safebench.models.interface import Arrangement, Conversation, Engine
from safebench.models.loading import is_out_of_memory
from safebench.models.quiet import preserved_random_state, quiet, raised_as
from safebench.models.sampling import Stream

LESS_MEMORY = "lower --batch-size, or use a larger --device"
"""What helps when memory runs out in generation."""


@dataclass(frozen=True)
class Prompt:
    """One prompt as the model is given it."""

    task: str
    document: dict[str, Any]
    context: Any
    """Text, or a `Conversation`."""


@dataclass(frozen=True)
class Response:
    """One response to one prompt."""

    task: str
    document: dict[str, Any]
    repeat: int
    text: str
    status: str
    new_tokens: int | None


def build_prompts(
    engine: Engine, tasks: Sequence[LoadedTask], *, chat: bool, system_prompt: str | None
) -> list[Prompt]:
    """Return every prompt of the tasks as lm-eval builds it for the engine's model.

    `chat` applies the chat template. The weights in place do not matter.

    Raises:
        TaskError: a prompt cannot be built, or is without what the card says is sent.
    """
    found = []
    for loaded in tasks:
        what = f"task {loaded.name}: its prompts cannot be built"
        with raised_as(TaskError, what), quiet(), preserved_random_state():
            loaded.task.build_all_requests(
                samples=list(range(len(loaded.documents))),
                system_instruction=system_prompt,
                apply_chat_template=chat,
                chat_template=engine.apply_chat_template if chat else None,
                tokenizer_name=engine.tokenizer_name if chat else "",
            )
        for instance in sorted(loaded.task.instances, key=lambda i: int(i.doc_id)):
            prompt = Prompt(loaded.name, dict(instance.doc), instance.args[0])
            asked = str(loaded.task.doc_to_text(instance.doc))
            _check_prompt(prompt, asked, system_prompt, engine if chat else None)
            found.append(prompt)
    return found


def _check_prompt(
    prompt: Prompt, asked: str, system_prompt: str | None, engine: Engine | None
) -> None:
    """Check that a prompt is what the card alone makes of the task's own prompt.

    A chat template may leave out the system prompt. A task's YAML may add a description, examples
    or the beginning of an answer, which the card does not mention. `engine` lays out conversations;
    None where there is no chat.

    Raises:
        TaskError: something was lost on the way, or something else is sent too.
    """
    where = f"task {prompt.task}, prompt {prompt.document.get('prompt_id')}"
    texts = [("system", system_prompt)] if system_prompt else []
    messages = [{"role": role, "content": text} for role, text in [*texts, ("user", asked)]]
    sent = str(prompt.context)
    if isinstance(prompt.context, Conversation):
        sent = "\n".join(str(message.get("content")) for message in prompt.context.messages)
    lost = missing_from(sent, messages)
    if lost is not None:
        is_system = lost["role"] == "system"
        whose = "system" if is_system else "task's"
        raise TaskError(
            f"{where}: the {whose} prompt {plain(lost['content'])[:80]!r} is not in what would be "
            f"sent, {sent[:200]!r}",
            fix=LEFT_OUT if is_system else "give a chat template that holds it",
        )
    alone: Any = " ".join(message["content"] for message in messages if message["content"])
    if engine is not None:
        alone = engine.apply_chat_template(messages, add_generation_prompt=True)
    # White space does not count: lm-eval puts none between a system prompt and a text.
    if _words(alone).replace(" ", "") != _words(prompt.context).replace(" ", ""):
        raise TaskError(
            f"{where}: the card makes {_words(alone)[-200:]!r} of it, but "
            f"{_words(prompt.context)[-200:]!r} would be sent",
            fix="take out of the task's YAML what the card does not say: description, num_fewshot, "
            "fewshot_config, gen_prefix",
        )


def _words(context: Any) -> str:
    """Return what is sent as text with single spaces, each message by its role."""
    if not isinstance(context, Conversation):
        return plain(str(context))
    return plain("\n".join(f"{m.get('role')}: {m.get('content')}" for m in context.messages))


def generate(
    engine: Engine,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    stream: Stream,
    *,
    batch_size: int,
    on_batch: Callable[[int], None],
) -> list[Response]:
    """Return the responses of the weights in place to every prompt, repeat by repeat.

    Repeats of a prompt share a batch. Under `repeat_control` (greedy only) every repeat after the
    first has another batch size and order instead, since nothing else could make it differ.

    Raises:
        ModelError: the model failed on a prompt.
    """
    repeats = int(require(decoding.repeats, "decoding.repeats"))
    settings = generation_settings(decoding)
    requests = [
        Instance(
            "generate_until",
            prompt.document,
            (prompt.context, settings),
            idx=0,
            metadata=(prompt.task, number, 1),
        )
        for number, prompt in enumerate(prompts)
    ]
    if not require(decoding.repeat_control, "decoding.repeat_control"):
        asked = [(r, n) for r in range(len(requests)) for n in range(1, repeats + 1)]
        passes = [(asked, Arrangement(batch_size))]
    else:
        passes = [
            ([(r, n) for r in range(len(requests))], _arranged(n, len(requests), batch_size))
            for n in range(1, repeats + 1)
        ]
    found: dict[tuple[int, int], Response] = {}
    for asked, arrangement in passes:
        try:
            with quiet(), preserved_random_state():
                answers = engine.generate(
                    [requests[r] for r, _ in asked], stream, arrangement, on_batch
                )
        except (RuntimeError, ValueError, IndexError) as problem:
            raise ModelError(
                f"generation failed ({decoding.name}): {problem}",
                fix=LESS_MEMORY if is_out_of_memory(problem) else None,
            ) from problem
        for (r, n), answer in zip(asked, answers, strict=True):
            prompt = prompts[r]
            found[r, n] = Response(
                prompt.task, prompt.document, n, answer.text, answer.status, answer.new_tokens
            )
    return [found[place] for place in sorted(found)]


def _arranged(repeat: int, prompts: int, batch_size: int) -> Arrangement:
    """Return a control's arrangement: the first repeat is as always, the others are not."""
    if repeat == 1:
        return Arrangement(batch_size)
    return Arrangement(max(1, min(batch_size, prompts) // repeat), shuffled=repeat)


def generation_settings(decoding: Decoding) -> dict[str, Any]:
    """Return lm-eval's generation arguments of a decoding."""
    settings: dict[str, Any] = {
        "until": list(require(decoding.stop, "decoding.stop")),
        "do_sample": decoding.do_sample,
        "max_gen_toks": require(decoding.max_new_tokens, "decoding.max_new_tokens"),
        "repetition_penalty": require(decoding.repetition_penalty, "decoding.repetition_penalty"),
    }
    if decoding.do_sample:
        for name in SAMPLING_FIELDS:
            value = require(getattr(decoding, name), f"decoding.{name}")
            if value is not None:
                settings[name] = value
        settings.setdefault("temperature", 1.0)
    for name in ("frequency_penalty", "presence_penalty"):  # of other backends than ours
        value = require(getattr(decoding, name), f"decoding.{name}")
        if value:
            settings[name] = value
    extra = require(decoding.extra, "decoding.extra")
    return {**settings, **extra} if isinstance(extra, dict) else settings
