"""Every exception the package raises on purpose.

The command line turns each into one message and exit code 2; a traceback is a defect.
"""

from __future__ import annotations


class SafebenchError(Exception):
    """Something a person can put right.

    The message names the place and the value; `fix` names the remedy.
    """

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.fix = fix


class InputError(SafebenchError):
    """A file or value could not be read or makes no sense."""


class CardError(InputError):
    """A card is unreadable, or wrong at a known place."""


class VersionError(CardError):
    """A card follows a version of the standard that this program does not read."""


class EvidenceError(InputError):
    """A submission's evidence is missing, damaged, or not what the card says."""


class InteropError(InputError):
    """Another program's file is not what it says it is, or two of them disagree."""


class StatsError(InputError, ValueError):
    """An array a statistic cannot be computed from."""


class JudgeError(SafebenchError):
    """No such judge, or it cannot judge this."""


class TaskError(SafebenchError):
    """No such task, or its data cannot be loaded."""


class ModelError(SafebenchError):
    """A model, tokenizer or adapter cannot be loaded or used."""


class TuningError(SafebenchError):
    """Fine-tuning could not start or did not end well."""


class DivergedError(TuningError):
    """Loss or weights are no finite numbers any more; the same seed would end there again."""


class RunError(SafebenchError):
    """A run cannot start, continue or be written."""


class MissingDependencyError(SafebenchError):
    """An optional package is needed; the message names the extra to install."""


def visible(text: str) -> str:
    """Return a text with control and direction characters as escapes.

    Messages quote files, and files are not trusted: they could write to the terminal.
    """
    if text.isprintable():  # a reader asks this of every name in every row
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
