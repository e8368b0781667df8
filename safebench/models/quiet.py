"""Other libraries kept in check: their notes, their errors, and the random state they touch."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from safebench.errors import ModelError, SafebenchError, visible

# peft 0.21 asks transformers 5.23 for a property under its old name.
PEFT_NOTE = "`is_gradient_checkpointing` is deprecated"

# Nothing a user can act on: names that a later version changes, a setting that peft corrects, and
# a quantization that `compute_as_declared` checks.
_NOTES = (
    PEFT_NOTE,
    "fan_in_fan_out is set to False but the target module is",
    "`label_smoothing_factor` is deprecated in `SFTTrainer`",
    "`gradient_checkpointing_enable` is deprecated",
    "The `'keep_end'` truncation mode is deprecated",
    "You passed `quantization_config` or equivalent parameters to `from_pretrained`",
)
_LOGGERS = """
    absl accelerate bitsandbytes datasets httpx2 huggingface_hub lm_eval openai peft torch
    transformers trl
""".split()  # noqa: SIM905 - a list of so many lines says no more
_RAISED = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, UserWarning)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence other libraries' notes and progress bars for the duration of the block.

    Their errors are still logged, and a warning that a filter makes an error is still raised.
    """
    from unittest.mock import patch  # it loads asyncio, and light commands come by here

    import datasets
    import transformers

    # Only what differs: setting a level, even to the same one, clears the caches of all loggers.
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = {one: one.level for one in loggers if one.level != logging.ERROR}
    bars = [
        library for library in (transformers.logging, datasets) if library.is_progress_bar_enabled()
    ]
    for library in bars:
        library.disable_progress_bar()
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),  # restores `showwarning`, too
            patch("lm_eval.api.task.tqdm", lambda items, **_: items),
        ):
            warnings.showwarning = lambda *_, **__: None
            for note in _NOTES:
                warnings.filterwarnings("ignore", message=note)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        for library in bars:
            library.enable_progress_bar()


def first_line(problem: BaseException) -> str:
    """Return the first line of what a library raised, short and printable."""
    lines = str(problem).strip().splitlines()
    return visible(lines[0][:300]) if lines else type(problem).__name__


@contextmanager
def raised_as(
    failure: type[SafebenchError], what: str, *, fix: str | None = None
) -> Iterator[None]:
    """Report any error of other code as a `failure`; our own errors pass unchanged."""
    try:
        yield
    except SafebenchError:
        raise
    except Exception as problem:  # libraries, templates and networks raise whatever they like
        raise failure(f"{what}: {first_line(problem)}", fix=fix) from problem


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Report any error of transformers or peft while loading `what` as a ModelError."""
    import torch
    from safetensors import SafetensorError

    try:
        with quiet():
            # Only half of an adapter would be there: worse than none.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            yield
    except torch.OutOfMemoryError as problem:
        raise ModelError(
            f"{what}: out of memory on the device",
            fix="give a quantization, a smaller dtype, or --device auto to spread the model",
        ) from problem
    except (*_RAISED, SafetensorError) as problem:
        raise ModelError(f"{what} cannot be loaded: {first_line(problem)}") from problem


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Restore the global generators of Python, NumPy and torch on leaving.

    lm-eval and the trainers seed them even when asked for nothing.
    """
    import numpy as np
    import torch

    python_state = random.getstate()
    numpy_state = np.random.get_state()
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
