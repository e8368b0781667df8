"""What transformers and peft raise and warn of, as one message."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from safebench.errors import ModelError
from safebench.models.quiet import quiet

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"

_RAISED = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, UserWarning)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what transformers raises into one message."""
    import torch
    from safetensors import SafetensorError

    try:
        with quiet():
            # Only half of an adapter would be there: worse than none.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            yield
    except torch.OutOfMemoryError as e:
        raise ModelError(
            f"{what}: out of memory on the device",
            fix="give a quantization, a smaller dtype, or --device auto to spread the model",
        ) from e
    except (*_RAISED, SafetensorError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise ModelError(f"{what} cannot be loaded: {first}") from e
