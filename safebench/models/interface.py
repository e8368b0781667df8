"""What answers prompts: read this first. The rest of the package knows only `Engine`.

An engine is opened for one card (`EngineSpec`), is given the weights of one cell after another
(`using`), and answers lm-eval's requests with them (`generate`). A new kind of engine is a file
with a class like this, and a line in registry.py. Nothing here imports a model library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from safebench.models.loading import Located
from safebench.words import file_name

if TYPE_CHECKING:
    from safebench.models.sampling import Stream

Form = Literal["base", "adapter", "merged", "full"]
OnBatch = Callable[[int], None]
"""Called with the number of responses that have been completed since the last call."""
Value = str | int | float | bool | None
"""Value of an argument given with --backend-args."""


@dataclass(frozen=True)
class PlacedWeights:
    """The weights of one cell: the base model's, or those of a training seed at a checkpoint."""

    condition: str
    """`base`, `tuned` or `control`."""
    training_seed: int | None
    checkpoint: int | None
    form: Form
    folder: Path | None
    """Folder that holds them; None for the base model, and for models that only a server has."""
    unit: str = "epoch"
    """Unit of checkpoints, `epoch` or `step`."""

    @property
    def name(self) -> str:
        """Name that a server is asked for where the card gives none."""
        return file_name(self.condition, self.training_seed, self.checkpoint, self.unit)


BASE = PlacedWeights("base", None, None, "base", None)
"""The base model's own weights."""


@dataclass(frozen=True)
class Arrangement:
    """How requests are batched and ordered; varied by a control to see whether it matters."""

    batch_size: int
    """Responses generated at once."""
    shuffled: int | None = None
    """Seed of a random order; None leaves the order to the engine."""


@dataclass(frozen=True)
class Conversation:
    """Messages sent as they are, to a server that applies its own chat template."""

    messages: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Generated:
    """One response as the model gave it."""

    text: str
    status: str
    """`ok`; `truncated` at the length limit; `blocked` by a server's filter."""
    new_tokens: int | None
    """Tokens generated, end token excluded; None where the backend does not report it."""


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is opened with: the card's model and the options of the run."""

    base: Located
    tokenizer: Any = None
    """The base model's, to count tokens with; None where only a server has it."""
    name: str = "hf"
    """Value of --backend."""
    args: Mapping[str, Value] = field(default_factory=dict)
    """Value of --backend-args."""
    batch_size: int = 1
    names: Mapping[int | None, str] = field(default_factory=dict)
    """A provider's names of the base model (key None) and the tuned ones, by training seed."""
    template_arguments: Mapping[str, Any] = field(default_factory=dict)
    """What a server that applies its own chat template is asked to give it."""
    served: bool = False
    """Whether the model exists behind a server only."""
    dtype: str = "float32"
    quantization: str = "none"
    adapter_rank: int | None = None
    """Rank of the adapters, None where there are none."""
    device: str = "cpu"
    attention: str | None = None


class Engine(Protocol):
    """Generates responses with the weights that are in place."""

    name: str
    """Name of the backend in the card."""
    scheme: str
    """How sampling noise is drawn, as recorded in the card."""
    batch_size: int
    """Responses generated at once."""
    is_server: bool
    """Whether a server generates."""
    takes_chat: bool
    """Whether prompts are conversations even where the card has no chat template."""

    def start(self) -> None:
        """Get ready, so that a wrong setting is reported before any work; raises ModelError."""

    @property
    def tokenizer_name(self) -> str:
        """Name that lm-eval keys its caches by."""

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool = True) -> Any:
        """Return messages as text, or as a `Conversation`; may raise whatever a template raises."""

    def using(self, weights: PlacedWeights) -> AbstractContextManager[None]:
        """Put weights in place for the duration of the block; raises ModelError."""

    def generate(
        self, requests: Sequence[Any], stream: Stream, arrangement: Arrangement, on_batch: OnBatch
    ) -> list[Generated]:
        """Answer lm-eval requests and return the responses in the order of the requests.

        Args:
            requests: lm-eval instances; repeats of a prompt are consecutive.
            stream: Determines the noise, or the seed sent with each request.
            arrangement: Batch size and order.
            on_batch: Called as responses are completed.

        Raises:
            ModelError: the model or its server failed.
        """

    def environment(self) -> dict[str, Any]:
        """Return the fields of the card's environment that this engine determines, as used.

        `harness`, `backend`, `batch_size`, `attention` and `sampling_scheme` are always among
        them, `NotReported` where the engine cannot know; `card/results.py` has the others.
        """
