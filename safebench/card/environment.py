"""What the numbers were made with."""

from __future__ import annotations

from safebench.card.base import Positive, Reported, Section, Settings, Text, Texts


class Environment(Section):
    """What the numbers were made with, as used; filled by a run."""

    harness: Reported[Text]
    """Evaluation harness and version."""
    python: Reported[Text]
    """Python version."""
    libraries: Reported[Texts]
    """Library name to version."""
    backend: Reported[Text]
    """What generates: `hf` is transformers, any other name lm-eval's model of that name."""
    backend_args: Reported[Settings] | None = None
    """Arguments of the backend, by name, as used; secrets are never among them."""
    device: Reported[Text]
    """`cpu`, or the accelerator's name."""
    threads: Reported[Positive] | None = None
    """Threads of one CPU operation."""
    batch_size: Reported[Positive]
    """Responses generated at once."""
    attention: Reported[Text]
    """Attention implementation."""
    tensor_parallel: Reported[Positive] = 1
    """Devices that one model is split over."""
    kv_cache_dtype: Reported[Text] = "auto"
    """Type of the cached keys and values; `auto` is that of the weights."""
    serving_quantization: Reported[Text] = "none"
    """Quantization that the server adds to the model's own."""
    determinism: Reported[tuple[Text, ...]] = ()
    """Flags that were set for determinism."""
    sampling_scheme: Reported[Text]
    """How sampling noise is drawn."""
