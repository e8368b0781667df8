"""What answers prompts: weights put in place behind an lm-eval model, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from safebench.models.loading import Located, load_base
from safebench.words import file_name

if TYPE_CHECKING:  # what names an engine, or weights, needs no model library
    from safebench.models.lm import Generated, SafebenchLM
    from safebench.models.sampling import Stream

Form = Literal["base", "adapter", "merged", "full"]


@dataclass(frozen=True)
class PlacedWeights:
    """Which weights answer: the base model's, or those of a training seed at a checkpoint."""

    condition: str
    training_seed: int | None
    checkpoint: int | None
    form: Form
    folder: Path | None
    """Where they lie; None for the base model, and for what a server alone has."""
    unit: str = "epoch"
    """What checkpoints are counted in."""

    @property
    def name(self) -> str:
        """What a server calls them where the card names no snapshot."""
        return file_name(self.condition, self.training_seed, self.checkpoint, self.unit)


@dataclass(frozen=True)
class Arrangement:
    """How requests are put together; it must not matter, and is varied to see whether it does."""

    batch_size: int
    """Responses generated at once."""
    shuffled: int | None = None
    """Seed of a random order; None sorts prompts by length."""


class Engine(Protocol):
    """Generates responses through an lm-eval model."""

    name: str
    """What the card calls the backend."""
    scheme: str
    """How sampling noise is drawn, as the card records it."""
    batch_size: int
    """Responses generated at once."""

    @property
    def lm(self) -> Any:
        """The lm-eval model that builds prompts: its chat template and its tokenizer's name."""

    def using(self, weights: PlacedWeights) -> AbstractContextManager[None]:
        """Put weights in place for the time of the block; raises ModelError."""

    def generate(
        self,
        requests: Sequence[Any],
        stream: Stream,
        arrangement: Arrangement,
        on_batch: Callable[[int], None],
    ) -> list[Generated]:
        """Answer lm-eval requests, in their order; repeats of a prompt are consecutive.

        Raises:
            ModelError: the model failed.
        """

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine decides, as used."""


class HfEngine:
    """transformers weights, loaded once, adapters exchanged; a noise stream per response."""

    name = "hf"
    scheme = "safebench/gumbel-splitmix64/1"

    def __init__(
        self,
        located: Located,
        tokenizer: Any,
        *,
        dtype: str,
        device: str,
        batch_size: int,
        quantization: str = "none",
        attention: str | None = None,
    ) -> None:
        """Take what to load, which happens when it is first used."""
        self.device, self.batch_size = device, batch_size
        self._located, self._tokenizer = located, tokenizer
        self._how: dict[str, Any] = {
            "dtype": dtype,
            "device": device,
            "quantization": quantization,
            "attention": attention,
        }

    @cached_property
    def base(self) -> Any:
        """The base model; raises ModelError."""
        return load_base(self._located, **self._how)

    @cached_property
    def lm(self) -> SafebenchLM:
        """The lm-eval model around the weights in place; raises ModelError."""
        from safebench.models.lm import SafebenchLM

        return SafebenchLM(self.base, self._tokenizer, self.batch_size)

    @contextmanager
    def using(self, weights: PlacedWeights) -> Iterator[None]:
        """Put weights in place for the time of the block; raises ModelError."""
        from safebench.models.adapters import with_adapter

        if weights.folder is None:
            self.lm.use(self.base)
            yield
        elif weights.form == "adapter":
            with with_adapter(self.base, weights.folder) as model:
                self.lm.use(model)
                yield
        else:
            self.lm.use(load_base(Located(str(weights.folder), None, ""), **self._how))
            yield
        self.lm.use(self.base)

    def generate(
        self,
        requests: Sequence[Any],
        stream: Stream,
        arrangement: Arrangement,
        on_batch: Callable[[int], None],
    ) -> list[Generated]:
        """Answer lm-eval requests, in their order; raises ModelError."""
        lm = self.lm
        lm.stream, lm.on_batch = stream, on_batch
        lm.batch_size_per_gpu = arrangement.batch_size
        lm.shuffled = arrangement.shuffled
        lm.generate_until(list(requests))
        return list(lm.generated)

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine decides, as used."""
        return {
            "harness": f"lm-eval {version('lm-eval')}",
            "backend": self.name,
            "device": device_name(self.base),
            "batch_size": min(self.batch_size, self.lm.smallest_batch),
            "attention": str(self.base.config._attn_implementation),
            "sampling_scheme": self.scheme,
        }


def device_name(model: Any) -> str:
    """Return what a model lies on: `cpu`, or the accelerators' names."""
    import torch

    devices = {p.device for p in model.parameters() if p.device.type != "meta"}
    names = {
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        for device in devices
    }
    count = len([device for device in devices if device.type == "cuda"])
    return ", ".join(sorted(names)) + (f" x {count}" if count > 1 else "")
