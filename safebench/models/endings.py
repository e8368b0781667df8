"""Where a response ends: at an end token, where a stop string is complete, or at the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safebench.models.interface import Generated


class Endings:
    """Knows when a row of new tokens is a whole response, and what its text is."""

    def __init__(self, tokenizer: Any, ends: set[int], stop: Sequence[str], limit: int) -> None:
        """Take the end tokens, the stop strings and the most new tokens."""
        self.tokenizer = tokenizer
        self.ends = ends
        self.stop = tuple(mark for mark in stop if mark)
        self.limit = limit
        self._last_letters = {mark[-1] for mark in self.stop}
        self._may_complete: dict[int, bool] = {}

    def is_over(self, row: Sequence[int]) -> bool:
        """Return whether the last of these tokens ends the row."""
        return row[-1] in self.ends or len(row) >= self.limit or self._completes(row)

    def _completes(self, row: Sequence[int]) -> bool:
        """Return whether the last token completes a stop string."""
        if not self.stop:
            return False
        last = row[-1]
        may = self._may_complete.get(last)
        if may is None:
            # Twice, because some tokenizers drop a space before the first token. A replacement
            # character is part of a letter that other tokens complete.
            text = self.tokenizer.decode([last, last], skip_special_tokens=True)
            may = "\ufffd" in text or any(letter in text for letter in self._last_letters)
            self._may_complete[last] = may
        return may and self._cut(self._decode(row)) is not None

    def finish(self, row: Sequence[int]) -> Generated:
        """Return the response that a row of new tokens holds, whatever comes after its end."""
        count = next((i for i, token in enumerate(row) if token in self.ends), None)
        tokens = row if count is None else row[:count]
        text = self._decode(tokens)
        cut = self._cut(text)
        if cut is not None:
            text = text[:cut]
            tokens = tokens[: self._first_complete(tokens)]
        ended = count is not None or cut is not None or len(tokens) < self.limit
        return Generated(text.strip(), "ok" if ended else "truncated", len(tokens))

    def _first_complete(self, tokens: Sequence[int]) -> int:
        return next((n for n in range(1, len(tokens)) if self._completes(tokens[:n])), len(tokens))

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _cut(self, text: str) -> int | None:
        found = [position for mark in self.stop if (position := text.find(mark)) >= 0]
        return min(found) if found else None
