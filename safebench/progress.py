"""How long-running work reports its progress; the command line draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What long-running work reports to."""

    def say(self, text: str) -> None:
        """Print a line."""

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
