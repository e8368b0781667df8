"""The neighbours whose files can be imported. A new one is one module and one line here."""

from __future__ import annotations

import importlib

from safebench.importing.interface import Reader

READERS: dict[str, tuple[str, str]] = {
    "lm-eval": ("lm_eval.reader", "Output folders of lm-eval, with its samples."),
    "responses": ("tables", "A table of prompts and responses."),
    "inspect": ("inspect.reader", "Logs of Inspect; epochs become repeats."),
    "harmbench": ("harmbench", "Completions of HarmBench."),
}
"""By name: the module whose `READER` it is, and its line in the list of formats."""


def reader_of(name: str) -> Reader:
    """Import and return a reader."""
    module = importlib.import_module(f"safebench.importing.{READERS[name][0]}")
    reader: Reader = module.READER
    return reader
