"""trl, peft and the trainer of transformers, imported here and nowhere else.

Importing them looks for bitsandbytes and prints notes; both are suppressed here once.
"""

from __future__ import annotations

from safebench.models.quantized import without_bitsandbytes
from safebench.models.quiet import quiet

with quiet(), without_bitsandbytes():
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import PrinterCallback, Trainer, TrainerCallback, set_seed
    from trl import SFTConfig, SFTTrainer

__all__ = [
    "LoraConfig",
    "PrinterCallback",
    "SFTConfig",
    "SFTTrainer",
    "Trainer",
    "TrainerCallback",
    "get_peft_model",
    "prepare_model_for_kbit_training",
    "set_seed",
]
