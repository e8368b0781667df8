"""A judge whose weights are loaded here: it writes through our engine, or its next token is read.

Loaded are safetensors alone, without remote code, at the revision that the card pins. Sampled text
is that of spec/v1/sampling.md, its key made of the card's seed, the vote and what was asked, so
that an answer is the same in any batch, run and order. Where a parser reads the next token, the
probability of a label is that of all tokens that read as it, white space and case aside. Texts of
one length are read together, so that nothing is padded.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from safebench.card.base import require
from safebench.card.judge import ModelJudge
from safebench.errors import JudgeError
from safebench.judges.interface import Exchange
from safebench.judges.pinned import find_weights
from safebench.judges.prompted.parsers import Output, normal
from safebench.judges.prompted.reader import Reader, Tell
from safebench.judges.prompted.templates import fill, open_template, render

BATCH: Final = 16
"""Texts read at once; a constant, so that no setting of a run reaches the answers."""
KEPT: Final = 64
"""Questions answered between two writes to the cache."""


@dataclass(frozen=True)
class _Request:
    """What our engine takes for a request of lm-eval's."""

    args: tuple[str, dict[str, Any]]
    doc: dict[str, str]
    task_name: str = "judge"


class LocalModel:
    """A causal language model that is found at once, and loaded when it is first asked."""

    def __init__(self, entry: ModelJudge, reader: Reader, folder: Path, device: str) -> None:
        """Find weights and template.

        Raises:
            CardError, JudgeError, ModelError: they are not there, are not what the card pins, or
                are no causal language model.
        """
        from safebench.models.loading import load_tokenizer

        self.entry, self.reader, self._device = entry, reader, device
        self._located, config = find_weights(entry, folder)
        _check_causal(entry, config)
        self._tokenizer = load_tokenizer(self._located)
        self._template = open_template(entry, folder, self._tokenizer)
        self._label_tokens: list[list[int]] = []
        if reader.parser.shares is not None:
            self._label_tokens = _tokens_of(entry.name, self._tokenizer, reader.labels)
        self._engine: Any = None

    def ask(self, questions: Sequence[Exchange], tell: Tell) -> None:
        """Answer the longest questions first; see `Asker.ask`."""
        texts = [
            render(self.entry, self._tokenizer, fill(self.entry, self._template, one))
            for one in questions
        ]
        lengths = [len(self._encoded(text)) for text in texts]
        room = self._room()
        order = sorted(range(len(texts)), key=lambda i: (-lengths[i], texts[i]))
        for place in (i for i in order if lengths[i] > room):
            tell(place, [Output("", "too_long")])
        order = [i for i in order if lengths[i] <= room]
        answer = self._write if self.reader.parser.shares is None else self._read_next
        for start in range(0, len(order), KEPT):
            part = order[start : start + KEPT]
            for place, outputs in zip(part, answer([texts[i] for i in part]), strict=True):
                tell(place, outputs)

    def close(self) -> str:
        """Free the weights."""
        from safebench.models.loading import free_memory

        if self._engine is not None:
            self._engine = None
            free_memory()
        return ""

    def _loaded(self) -> Any:
        if self._engine is None:
            from safebench.models.interface import EngineSpec
            from safebench.models.transformers_engine import HfEngine

            dtype = require(self.entry.dtype, f"the dtype of judge {self.entry.name}")
            spec = EngineSpec(
                base=self._located,
                tokenizer=self._tokenizer,
                batch_size=BATCH,
                dtype=dtype or "float32",
                device=self._device,
            )
            self._engine = HfEngine(spec)
            self._engine.start()
        return self._engine

    def _room(self) -> int:
        from safebench.models.loading import context_length

        longest = context_length(self._loaded().base)
        return 2**31 if longest is None else longest - self._new_tokens()

    def _new_tokens(self) -> int:
        sampling = require(self.entry.sampling, f"the sampling of judge {self.entry.name}")
        is_read = self.reader.parser.shares is not None
        return 0 if sampling is None or is_read else int(sampling.max_new_tokens)

    def _encoded(self, text: str) -> tuple[int, ...]:
        found: tuple[int, ...] = self._loaded().lm.encoded([text])[text]
        return found

    def _write(self, texts: Sequence[str]) -> list[list[Output]]:
        """Return what the model writes to each text, once for each vote."""
        from safebench.models.interface import Arrangement
        from safebench.models.sampling import Stream

        sampling = require(self.entry.sampling, f"the sampling of judge {self.entry.name}")
        assert sampling is not None  # noqa: S101 - checked with the entry
        settings = {
            "do_sample": sampling.temperature > 0,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_gen_toks": int(sampling.max_new_tokens),
            "until": [],
        }
        requests = [
            _Request((text, settings), {"prompt_id": hashlib.sha256(text.encode()).hexdigest()})
            for text in texts
        ]
        outputs: list[list[Output]] = [[] for _ in texts]
        for vote in range(int(require(self.entry.votes, "judge.votes"))):
            stream = Stream(int(sampling.seed) + vote, "judge", None, None, "")
            written = self._loaded().generate(
                requests, stream, Arrangement(BATCH), lambda count: None
            )
            for place, one in enumerate(written):
                text = one.text
                if texts[place].rstrip().endswith(self.reader.thinking[0]):
                    text = self.reader.thinking[0] + text  # the template opened it
                outputs[place].append(Output(text, one.status))
        return outputs

    def _read_next(self, texts: Sequence[str]) -> list[list[Output]]:
        """Return the probabilities of the labels as the next token after each text."""
        rows = {text: self._encoded(text) for text in texts}
        ordered = sorted(rows, key=lambda text: (len(rows[text]), text))
        found: dict[str, Output] = {}
        for _, same in groupby(ordered, key=lambda text: len(rows[text])):
            equal = list(same)
            for start in range(0, len(equal), BATCH):
                batch = equal[start : start + BATCH]
                for text, shares in zip(batch, self._shares([rows[t] for t in batch]), strict=True):
                    found[text] = Output("", shares=tuple(round(share, 6) for share in shares))
        return [[found[text]] for text in texts]

    def _shares(self, rows: Sequence[Sequence[int]]) -> list[list[float]]:
        import torch

        from safebench.models.loading import input_device

        model = self._loaded().base
        takes = inspect.signature(model.forward).parameters
        last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        with torch.inference_mode():
            ids = torch.tensor([list(row) for row in rows], device=input_device(model))
            shares = model(input_ids=ids, **last).logits[:, -1].float().softmax(dim=-1)
            columns = [shares[:, tokens].sum(dim=-1) for tokens in self._label_tokens]
            found = torch.stack(columns, dim=1)
        if not bool(torch.isfinite(found).all()):
            raise JudgeError(
                f"judge {self.entry.name}: its logits are not finite numbers",
                fix="look at its weights and dtype: float16 overflows where bfloat16 does not",
            )
        listed: list[list[float]] = found.cpu().tolist()
        return listed


def _check_causal(entry: ModelJudge, config: Any) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    names = getattr(config, "architectures", None) or ()
    if not set(names) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        raise JudgeError(
            f"judge {entry.name}: {entry.id} is {', '.join(names) or 'of no stated architecture'}, "
            "no causal language model",
            fix="judge by `kind: classifier` with a classifier; ask a model that a server has "
            "with access: api",
        )


def _tokens_of(name: str, tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """Return, for each label, the tokens that read as it."""
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    wanted: dict[str, list[int]] = {normal(label): [] for label in labels}
    for token, text in enumerate(texts):
        if (text := text.strip().casefold()) in wanted:
            wanted[text].append(token)
    for label, tokens in wanted.items():
        if not tokens:
            raise JudgeError(
                f"judge {name}: no token of its model reads as the label {label!r}",
                fix="name labels that are one token each, or a parser that reads text",
            )
    return list(wanted.values())
