"""Which numbers of a submission are meant: by task, construct, decoding, judge, checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from safebench.errors import EvidenceError
from safebench.words import listed, option

if TYPE_CHECKING:  # the help of a command that selects needs no card
    from safebench.card.measured import MeasuredResults
    from safebench.card.results import HasPlace, PrimaryEstimand


@dataclass(frozen=True)
class Selection:
    """What was chosen; what was not is left to each card's primary estimands."""

    tasks: tuple[str, ...] = ()
    constructs: tuple[str, ...] = ()
    decoding: str | None = None
    judge: str | None = None
    checkpoint: int | None = None

    @property
    def moved(self) -> dict[str, str | int]:
        """What stands in the place of the primary estimands' own: name and value."""
        chosen = {name: getattr(self, name) for name in ("decoding", "judge", "checkpoint")}
        return {name: value for name, value in chosen.items() if value is not None}

    def holds(self, item: HasPlace) -> bool:
        """Tell whether a number is among those chosen; the base model's are at any checkpoint."""
        return (
            self._names(item)
            and self.decoding in (None, item.decoding)
            and self.judge in (None, item.judge)
            and (item.checkpoint is None or self.checkpoint in (None, item.checkpoint))
        )

    def _names(self, item: HasPlace) -> bool:
        return (not self.tasks or item.task in self.tasks) and (
            not self.constructs or item.construct in self.constructs
        )

    def estimands(self, primary: Iterable[PrimaryEstimand]) -> list[PrimaryEstimand]:
        """Return the primary estimands that are named, at what was chosen in their place."""
        found = []
        for one in primary:
            if self._names(one):
                moved = dict(self.moved)
                if one.checkpoint is None:
                    moved.pop("checkpoint", None)
                found.append(one.model_copy(update=moved))
        return found

    def of(self, results: MeasuredResults) -> MeasuredResults:
        """Return the numbers that are chosen; all of them where nothing was.

        Raises:
            EvidenceError: there are none; the message says what was measured.
        """
        if self == Selection():
            return results
        self._check(results)
        scores = tuple(filter(self.holds, results.scores))
        primary = self.estimands(results.primary)
        if self.moved:
            from safebench.card.results import find, key_of

            primary = [one for one in primary if find(scores, key_of(one)) is not None]
        if not scores or not primary:
            chosen = listed(f"{option(name)} {value}" for name, value in self.given())
            raise EvidenceError(
                f"{chosen}: not measured together", fix="leave one of them out, or choose another"
            )
        changes = tuple(filter(self.holds, results.changes))
        kept = {"primary": tuple(primary), "scores": scores, "changes": changes}
        return results.model_copy(update=kept)

    def given(self) -> list[tuple[str, str | int]]:
        """Return what was chosen, name and value: `task`, `safebench_harm`; `checkpoint`, `2`."""
        found = []
        for field in fields(Selection):
            values = getattr(self, field.name)
            for value in values if isinstance(values, tuple) else (values,):
                if value is not None:
                    found.append((field.name.removesuffix("s"), value))
        return found

    def _check(self, results: MeasuredResults) -> None:
        """Check that each of what was chosen was measured somewhere."""
        for name, value in self.given():
            measured = {getattr(score, name) for score in results.scores} - {None}
            if value not in measured:
                there = ", ".join(map(str, sorted(measured))) or "none"
                raise EvidenceError(
                    f"{name} {value!r} was not measured", fix=f"measured are: {there}"
                )
