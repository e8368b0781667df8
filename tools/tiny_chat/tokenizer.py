"""The demo model's tokenizer, byte-level so that no text is unknown to it, and chat template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

VOCABULARY: Final = 1792
BOS: Final = "<s>"
EOS: Final = "</s>"
PAD: Final = "<pad>"
SPECIAL: Final = (PAD, BOS, EOS, "<|system|>", "<|user|>", "<|assistant|>")
CONTEXT: Final = 512
"""Longest input, in tokens."""

# The marks around the assistant's words let trl compute its loss on them alone.
CHAT_TEMPLATE: Final = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' %}"
    "{{- '<|assistant|>' }}"
    "{%- generation %}{{- message['content'] | trim + eos_token }}{%- endgeneration %}"
    "{%- elif message['role'] == 'system' %}"
    "{{- '<|system|>' + message['content'] | trim }}"
    "{%- else %}"
    "{{- '<|user|>' + message['content'] | trim }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> Any:
    """A tokenizer whose merges come from the texts, ready for `AutoTokenizer` once saved."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
