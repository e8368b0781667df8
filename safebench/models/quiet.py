"""Keeping the words of other libraries from the terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

# peft 0.21 asks transformers 5.23 for a property under its old name.
PEFT_NOTE = "`is_gradient_checkpointing` is deprecated"

# Nothing a user can act on: names that change in a next version, a setting peft corrects, and what
# `compute_as_declared` looks into.
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


@contextmanager
def quiet() -> Iterator[None]:
    """Silence other libraries' notes and progress bars for the duration of the block.

    Their errors are still logged, and a warning that a filter makes an error is still raised.
    """
    import datasets
    import transformers

    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    bars = [
        library for library in (transformers.logging, datasets) if library.is_progress_bar_enabled()
    ]
    for library in bars:
        library.disable_progress_bar()
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),  # puts `showwarning` back, too
            patch("lm_eval.api.task.tqdm", lambda items, **_: items),
        ):
            warnings.showwarning = _unseen
            for note in _NOTES:
                warnings.filterwarnings("ignore", message=note)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for library in bars:
            library.enable_progress_bar()


def _unseen(*_: object, **__: object) -> None:
    """Show no warning."""
