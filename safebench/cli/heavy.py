"""Importing what runs models only where it is needed, with a clear word when it is absent."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from safebench.errors import MissingDependencyError


@contextmanager
def needs_models(command: str) -> Iterator[None]:
    """Turn a missing torch, transformers, peft, trl or lm-eval into one message."""
    # Advice and parallelism notes of the libraries; set by the user, their value stays.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what libraries say of each other on being imported
            yield
    except ModuleNotFoundError as problem:
        raise MissingDependencyError(
            f"`safebench {command}` needs {problem.name}, which is not installed",
            fix="pip install 'safebench[run]'",
        ) from problem
