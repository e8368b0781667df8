"""What transformers and peft raise and warn of, as one message."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import transformers
from safetensors import SafetensorError

from safebench.errors import ModelError

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"

# peft 0.21 asks transformers 5.23 for a property under its old name.
PEFT_NOTE = "`is_gradient_checkpointing` is deprecated"


_RAISED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    ImportError,
    SafetensorError,
    UserWarning,
)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what transformers raises into one message."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=PEFT_NOTE, category=FutureWarning)
            # Only half of an adapter would be there: worse than none.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            yield
    except torch.OutOfMemoryError as e:
        raise ModelError(
            f"{what}: out of memory on the device",
            fix="give a quantization, a smaller dtype, or --device auto to spread the model",
        ) from e
    except _RAISED as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise ModelError(f"{what} cannot be loaded: {first}") from e
    finally:
        transformers.logging.set_verbosity(verbosity)
