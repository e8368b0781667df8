"""A small text classifier with random weights, made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from safebench.files import sha256_of_folder
from safebench.models.loading import weight_files
from tests.small_models import save_tokenizer


def save_classifier(folder: Path, *labels: str, positions: int = 64, **config: Any) -> Path:
    """Save a BERT-shaped classifier whose degrees differ well between texts."""
    folder.mkdir(parents=True)
    size = save_tokenizer(folder, chat=False)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = BertForSequenceClassification(
            BertConfig(
                vocab_size=size,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=positions,
                initializer_range=0.5,
                pad_token_id=0,
                id2label=dict(enumerate(labels or ("safe", "harmful"))),
                **config,
            )
        )
    model.save_pretrained(folder)
    return folder


def classifier_data(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return a card's entry for it, which names its folder."""
    return {
        "name": "grader",
        "kind": "classifier",
        "id": folder.name,
        "revision": f"sha256:{sha256_of_folder(folder, weight_files(folder))}",
        "constructs": ["severity"],
        "primary": True,
        "prompt_template_sha256": {"not_reported": "a classifier has no prompt"},
        "parser": "probability of its harmful label",
        "on_parse_failure": "cannot fail",
        "decoding": {"not_reported": "it generates nothing"},
        "lineage": [],
        **changes,
    }
