"""What answers prompts: weights put in place behind an lm-eval model, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from safebench.models.lm import Generated, SafebenchLM
from safebench.models.loading import Located, load_base, with_adapter
from safebench.models.sampling import SCHEME, Stream

Form = Literal["base", "adapter", "merged", "full"]


@dataclass(frozen=True)
class Placed:
    """Which weights answer: the base model's, or those of a training seed at a checkpoint."""

    condition: str
    training_seed: int | None
    checkpoint: int | None
    form: Form
    folder: Path | None
    """Where they lie; None for the base model."""


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

    @property
    def lm(self) -> Any:
        """The lm-eval model that builds prompts: its chat template and its tokenizer's name."""

    def using(self, weights: Placed) -> AbstractContextManager[None]:
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
    scheme = SCHEME

    def __init__(
        self,
        located: Located,
        tokenizer: Any,
        *,
        dtype: str,
        device: str,
        batch_size: int,
    ) -> None:
        """Load the base model.

        Raises:
            ModelError: it cannot be loaded.
        """
        self.dtype, self.device, self.batch_size = dtype, device, batch_size
        self.base = load_base(located, dtype, device)
        self.lm = SafebenchLM(self.base, tokenizer, batch_size)

    @contextmanager
    def using(self, weights: Placed) -> Iterator[None]:
        """Put weights in place for the time of the block; raises ModelError."""
        if weights.folder is None:
            self.lm.use(self.base)
            yield
        elif weights.form == "adapter":
            with with_adapter(self.base, weights.folder) as model:
                self.lm.use(model)
                yield
        else:
            self.lm.use(load_base(Located(str(weights.folder), None, ""), self.dtype, self.device))
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
        on_gpu = self.device.startswith("cuda")
        return {
            "harness": f"lm-eval {version('lm-eval')}",
            "backend": self.name,
            "device": torch.cuda.get_device_name(self.device) if on_gpu else self.device,
            "threads": torch.get_num_threads(),
            "batch_size": self.batch_size,
            "attention": str(self.base.config._attn_implementation),
            "sampling_scheme": self.scheme,
        }
