"""The decode loop: each prompt is read once, and waiting rows take the places of finished ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from safebench.models.interface import Generated
from safebench.models.prefill import Tokens, grouped, pass_cost, read, shared_start
from safebench.models.sampling import NONE, Sampling, choose, not_finite, penalised
from safebench.models.slot_cache import SlotCache, rounded

STEPS_BETWEEN_LOOKS = {"cpu": 1}
"""Steps between looks at the new tokens; on an accelerator each look makes it wait."""
STEPS_ON_ACCELERATOR = 8


@dataclass(frozen=True)
class Job:
    """One response to be made."""

    number: int
    prompt: Tokens
    key: int


@dataclass
class _Row:
    job: Job
    tokens: list[int] = field(default_factory=list)


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
        """Return the response in a row of new tokens, which may go on after its end."""
        count = next((i for i, token in enumerate(row) if token in self.ends), None)
        tokens = row if count is None else row[:count]
        text = self._decode(tokens)
        cut = self._cut(text)
        if cut is not None:
            text = text[:cut]
            whole = (n for n in range(1, len(tokens)) if self._completes(tokens[:n]))
            tokens = tokens[: next(whole, len(tokens))]
        ended = count is not None or cut is not None or len(tokens) < self.limit
        return Generated(text.strip(), "ok" if ended else "truncated", len(tokens))

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _cut(self, text: str) -> int | None:
        found = [position for mark in self.stop if (position := text.find(mark)) >= 0]
        return min(found) if found else None


class Decoder:
    """Makes the responses of one model under one decoding, at most `size` rows at a time."""

    def __init__(self, model: Any, sampling: Sampling, endings: Endings, size: int) -> None:
        """Take a model that `is_plain`, in evaluation mode."""
        self.model, self.sampling, self.endings, self.size = model, sampling, endings, size
        self.rows: list[_Row] = []
        self.unread: list[torch.Tensor] = []
        self.shared: Tokens = ()
        self.known: dict[Tokens, DynamicCache] = {}
        self.every = STEPS_BETWEEN_LOOKS.get(model.device.type, STEPS_ON_ACCELERATOR)

    def run(self, jobs: Sequence[Job], done: Callable[[dict[int, Generated]], None]) -> None:
        """Make the responses in about this order, telling `done` about each group that ended.

        Raises:
            ModelError: the logits are not finite numbers.
        """
        if not jobs:
            return
        waiting = deque(jobs)
        slots = min(self.size, len(jobs))
        with torch.inference_mode():
            self._allocate(slots)
            # The tokens that all prompts start with are read once, where that saves time.
            texts = {job.prompt[:-1] for job in jobs} - {()}
            self.shared = shared_start(texts, pass_cost(self.model))
            if self.shared:
                self.known[self.shared] = read(self.model, [self.shared])
            while waiting or self.rows:
                free = slots - len(self.rows)
                # A few at a time: reading prompts one by one costs a step each.
                if waiting and (not self.rows or free >= max(1, slots // 4)):
                    self._admit([waiting.popleft() for _ in range(min(free, len(waiting)))])
                left = self.endings.limit - max(len(row.tokens) for row in self.rows)
                for _ in range(min(self.every, left)):
                    self._step()
                finished = self._look()
                if finished:
                    done(finished)

    def _allocate(self, slots: int) -> None:
        device, config = self.model.device, self.model.config
        layers = len(DynamicCache(config=config).layers)
        self.cache = SlotCache(layers, slots, self.model)
        # Of each slot: where its next token goes, how many are new, its key, its last token.
        self.position, self.step, self.key, self.token = (
            torch.zeros(slots, dtype=torch.long, device=device) for _ in range(4)
        )
        penalised_tokens = 0
        if self.sampling.repetition_penalty != 1.0:
            penalised_tokens = config.get_text_config(decoder=True).vocab_size
        self.seen = torch.zeros(slots, penalised_tokens, dtype=torch.bool, device=device)

    def _admit(self, jobs: Sequence[Job]) -> None:
        """Put jobs behind the active rows, each with all but the last token of its prompt read."""
        first = len(self.rows)
        slots = list(range(first, first + len(jobs)))
        lengths = [len(job.prompt) - 1 for job in jobs]
        self.cache.reserve(rounded(max(lengths) + 1))
        self._read(jobs, slots)
        self.cache.show(slots, lengths)
        part = slice(first, first + len(jobs))
        for kept, values in (
            (self.position, lengths),
            (self.token, [job.prompt[-1] for job in jobs]),
            (self.key, [job.key for job in jobs]),
        ):
            kept[part] = torch.tensor(values, device=kept.device)
        self.step[part] = 0
        if self.seen.shape[1]:
            self.seen[part] = False
            for slot, job in zip(slots, jobs, strict=True):
                self.seen[slot, torch.tensor(job.prompt, device=self.seen.device)] = True
        self.rows.extend(_Row(job) for job in jobs)

    def _read(self, jobs: Sequence[Job], slots: Sequence[int]) -> None:
        """Fill slots with the keys and values of their prompts, each prompt read once."""
        places: dict[Tokens, list[int]] = {}
        for job, slot in zip(jobs, slots, strict=True):
            places.setdefault(job.prompt[:-1], []).append(slot)
        places.pop((), None)
        for text in places.keys() & self.known.keys():
            filled = places.pop(text)
            self.cache.fill(filled, self.known[text], [0] * len(filled))
        before = self.known.get(self.shared)
        last = jobs[-1].prompt[:-1]
        for group in grouped(places, pass_cost(self.model)):
            got = read(self.model, [text[len(self.shared) :] for text in group], before)
            rows = [row for row, text in enumerate(group) for _ in places[text]]
            self.cache.fill([slot for text in group for slot in places[text]], got, rows)
            if last in group:
                # Repeats of a prompt follow one another: those that found no place need it again.
                got.batch_select_indices(
                    torch.tensor([group.index(last)], device=self.model.device)
                )
                self.known = {last: got} | ({self.shared: before} if before is not None else {})

    def _step(self) -> None:
        """Give every active row its next token, without waiting for the device."""
        count = len(self.rows)
        taken = len(self.unread) + 1
        width = max(len(row.job.prompt) + len(row.tokens) for row in self.rows) + taken - 1
        position, step, token = self.position[:count], self.step[:count], self.token[:count]
        mask = self.cache.aim(position, width)
        logits = self.model(
            input_ids=token.unsqueeze(1),
            attention_mask=mask,
            position_ids=position.unsqueeze(1),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        logits = logits.to(self.model.device, torch.float32)
        if self.seen.shape[1]:
            seen = self.seen[:count]
            logits = penalised(logits, seen, self.sampling.repetition_penalty)
        chosen = choose(logits, self.key[:count], step, self.sampling)
        self.unread.append(chosen)
        token.copy_(chosen.clamp(min=0))
        if self.seen.shape[1]:
            seen.scatter_(1, token.unsqueeze(1), True)
        position += 1
        step += 1

    def _look(self) -> dict[int, Generated]:
        """Read the new tokens; take out and return the rows that are over."""
        columns = torch.stack(self.unread).tolist()
        self.unread = []
        over = []
        for place, row in enumerate(self.rows):
            for column in columns:
                row.tokens.append(column[place])
                if self.endings.is_over(row.tokens):
                    over.append(place)
                    break
            if NONE in row.tokens[-len(columns) :]:
                raise not_finite()
        if not over:
            return {}
        finished = {self.rows[i].job.number: self.endings.finish(self.rows[i].tokens) for i in over}
        self._remove(over)
        return finished

    def _remove(self, over: Sequence[int]) -> None:
        """Fill the places of rows that are over with the last of the others."""
        gone = set(over)
        count = len(self.rows) - len(gone)
        holes = [place for place in over if place < count]
        movers = [place for place in range(count, len(self.rows)) if place not in gone]
        for hole, mover in zip(holes, movers, strict=True):
            self.rows[hole] = self.rows[mover]
        del self.rows[count:]
        if not holes:
            return
        target, source = (torch.tensor(x, device=self.model.device) for x in (holes, movers))
        width = max(len(row.job.prompt) + len(row.tokens) for row in self.rows)
        self.cache.move(target, source, width)
        for values in (self.position, self.step, self.key, self.token, self.seen):
            values[target] = values[source]
