"""How long work tells somebody how far it is; the command line draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a study reports to."""

    def say(self, text: str) -> None:
        """Tell a fact once."""

    def start(self, name: str, total: float) -> None:
        """Begin a step of known size."""

    def advance(self, amount: float, note: str = "") -> None:
        """Report work done in the step begun last."""

    def stop(self) -> None:
        """End the step."""


class Silent:
    """Reports nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def start(self, name: str, total: float) -> None:
        """Show nothing."""

    def advance(self, amount: float, note: str = "") -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Show nothing."""
