"""Builds tiny-chat, its fine-tuning data and the prompts of our own tasks, from word lists alone.

`python -m tools.tiny_chat.build` writes into the source tree; `--out DIR` writes below DIR instead;
`--check` builds in a temporary folder and compares hashes with the shipped ones.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tools.tiny_chat import overlap, shipped
from tools.tiny_chat.corpus import Corpus, Turn
from tools.tiny_chat.household import household_rows
from tools.tiny_chat.measured import measure_all, table

ROOT: Final = Path(__file__).resolve().parent.parent.parent
TOKENIZER_TURNS: Final = 30_000
"""So many of the conversations decide the tokenizer's merges."""
LIBRARIES: Final = ("torch", "transformers", "tokenizers", "safetensors")


def build(out: Path) -> dict[str, Any]:
    """Write every file below `out`, print what was measured, and return the recipe."""
    corpus = Corpus()
    data = shipped.data_files()
    for path, content in data.items():
        _write(out / path, content)
    folder = out / "safebench" / "demo" / shipped.MODEL
    model, tokenizer, turns, recipe = _build_model(corpus, folder)
    print("checking that nothing of the suites occurs in training ...", flush=True)
    texts = {text for turn in turns for text in (turn.prompt, turn.response, turn.system)}
    overlap.assert_held_out(
        corpus, texts | {text for row in household_rows() for text in row.values()}
    )
    measured = measure_all(model, tokenizer, turns, texts)
    print(table(measured))
    written = {
        "made_by": "python -m tools.tiny_chat.build",
        "recipe": recipe,
        "parameters": model.num_parameters(),
        "conversations": len(turns),
        "libraries": {name: version(name) for name in LIBRARIES},
        "measured": measured,
        "model": shipped.model_hashes(folder),
        "data": {path: shipped.sha256(text.encode()) for path, text in data.items()},
    }
    _write(folder / shipped.RECIPE, json.dumps(written, indent=2, ensure_ascii=False) + "\n")
    return written


def _build_model(corpus: Corpus, folder: Path) -> tuple[Any, Any, list[Turn], dict[str, Any]]:
    """Train and save; the model that is returned was read back from the folder."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from tools.tiny_chat.tokenizer import train_tokenizer
    from tools.tiny_chat.training import Recipe, train

    logging.disable_progress_bar()
    recipe = Recipe()
    turns = list(corpus.stream(recipe.seed, recipe.steps * recipe.batch_size))
    lines = [f"{turn.system}\n{turn.prompt}\n{turn.response}" for turn in turns[:TOKENIZER_TURNS]]
    tokenizer = train_tokenizer(lines)
    started = time.monotonic()

    def progress(step: int, loss: float) -> None:
        if step % 200 == 0 or step == recipe.steps:
            seconds = time.monotonic() - started
            print(f"step {step:>5}/{recipe.steps}  loss {loss:.3f}  {seconds:4.0f} s", flush=True)

    model = train(turns, tokenizer, recipe, progress)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return (
        AutoModelForCausalLM.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
        turns,
        asdict(recipe),
    )


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="\n")


def check() -> int:
    """Build anew and compare with what is shipped; 0 if every hash is equal."""
    with tempfile.TemporaryDirectory() as scratch:
        built = build(Path(scratch))
    found = shipped.differences(built, shipped.read_recipe(Path(__file__).parent / shipped.MODEL))
    for name in found:
        print(f"differs from the shipped file: {name}")
    if not found:
        print("every file equals the shipped one")
    return 1 if found else 0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(prog="python -m tools.tiny_chat.build", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=ROOT, metavar="DIR", help="where to write")
    parser.add_argument("--check", action="store_true", help="compare a new build with the shipped")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        return check()
    build(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
