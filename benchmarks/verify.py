"""How much memory `safebench verify` takes for ten million rows: at most 1 GiB.

    python benchmarks/verify.py [ROWS]

The submission of the examples, its outcomes repeated under further prompt ids until they are as
many; the card and the manifest list the new file. A second one, forged, has a word that nobody
defined in its last row, which is found.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from timing import machine

from safebench.card.io import dump_card
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, read_table

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "spec" / "v1" / "examples" / "valid" / "submission"
ROWS, MOST_MEBIBYTES = 10_000_000, 1024
_AT_ONCE = 250_000


def main() -> None:
    """Make the submissions, verify each in a process of its own, and print what it took."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name, is_forged in (("as it is", False), ("last row wrong", True)):
            submission = _made(Path(folder, "submission"), rows, is_forged=is_forged)
            start = time.monotonic()
            ran = subprocess.run(
                [sys.executable, "-m", "safebench.cli.main", "verify", submission],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            seconds = time.monotonic() - start
            # The largest child so far; the first made nothing and only verified.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            size = (submission / "outcomes.parquet").stat().st_size
            print(f"\n{name}: {rows:,} rows, a file of {size:,} bytes")
            print(f"  exit {ran.returncode}, {seconds:.1f} s, peak {peak:,.0f} MiB")
            for line in (ran.stdout + ran.stderr).splitlines():
                print(f"  {line.replace(folder, '')}")
            assert ran.returncode == int(is_forged)
            assert peak <= MOST_MEBIBYTES


def _made(folder: Path, rows: int, *, is_forged: bool) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder)
    path = folder / "outcomes.parquet"
    table = read_table(EXAMPLE / "outcomes.parquet", OUTCOMES)
    parts = [_renamed(table, f"part {n}") for n in range(_AT_ONCE // table.num_rows)]
    table = pa.concat_tables(parts)
    with pq.ParquetWriter(path, OUTCOMES, compression="zstd") as writer:
        written = 0
        while written < rows:
            piece = _renamed(table.slice(0, rows - written), f"piece {written}")
            written += piece.num_rows
            if is_forged and written == rows:
                words = [*piece.column("status").to_pylist()[:-1], "fine"]
                piece = piece.set_column(OUTCOMES.get_field_index("status"), "status", [words])
            writer.write_table(piece.cast(OUTCOMES))
    submission = Submission.read(folder)
    evidence = submission.card.given_evidence
    assert evidence is not None
    files = describe_files(folder, [file.path for file in evidence.files])
    write_manifest(folder, files)
    evidence = evidence.model_copy(update={"files": files})
    dump_card(submission.card.model_copy(update={"evidence": evidence}), folder / "card.yaml")
    return folder


def _renamed(table: pa.Table, suffix: str) -> pa.Table:
    ids = pc.binary_join_element_wise(table.column("prompt_id"), suffix, " ")
    return table.set_column(OUTCOMES.get_field_index("prompt_id"), "prompt_id", ids).cast(OUTCOMES)


if __name__ == "__main__":
    main()
