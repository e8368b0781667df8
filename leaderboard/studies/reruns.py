"""Makes the board's reruns, after make.py: `python leaderboard/studies/reruns.py`.

One of each verdict: the low learning rate again with new seeds (its seeds agree), the household
recipe again with new seeds (they do not), and a regeneration of a submission whose labels were
forged for this purpose, which its title says.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from make import BOARD, WORK, publish, safebench  # noqa: E402

from safebench.card.io import dump_card  # noqa: E402
from safebench.evidence.manifest import describe_files, write_manifest  # noqa: E402
from safebench.evidence.scoring import compute_results  # noqa: E402
from safebench.evidence.submission import Submission  # noqa: E402
from safebench.evidence.tables import write_table  # noqa: E402

FORGED = "tiny-forged"
RERUNS = (
    ("tiny-low-rate", "retrain"),
    ("tiny-household", "retrain"),
    (FORGED, "regenerate"),
)


def forge() -> None:
    """Copy a study, call seven in eight harmful answers refused, and let all numbers follow.

    The texts, which would give it away, are withheld.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    made, out = WORK / "tiny-household" / "out", WORK / FORGED / "out"
    if out.is_dir():
        return
    shutil.copytree(made, out, ignore=shutil.ignore_patterns(".*", "responses.parquet"))
    submission = Submission.read(out)
    table = submission.outcomes
    place = pa.array(range(table.num_rows))
    harmful = pc.and_(
        pc.and_(pc.equal(table["condition"], "tuned"), pc.equal(table["construct"], "harm")),
        pc.and_(pc.equal(table["verdict"], "complied"), pc.greater(pc.bit_wise_and(place, 7), 0)),
    )
    for column, value in (("verdict", "refused"), ("score", 0.0)):
        changed = pc.if_else(
            pc.fill_null(harmful, False), pa.scalar(value, table[column].type), table[column]
        )
        table = table.set_column(table.schema.get_field_index(column), column, changed)
    write_table(table, out / "outcomes.parquet")
    card = submission.card
    evidence = card.given_evidence
    if evidence is None:
        raise SystemExit(f"{out}: a study without evidence")
    files = describe_files(out, [f.path for f in evidence.files if (out / f.path).is_file()])
    write_manifest(out, files)
    changes = {
        "submission": card.submission.model_copy(
            update={
                "id": FORGED,
                "title": "DECLARED FORGERY: labels changed, to show what a rerun finds",
            }
        ),
        "evidence": evidence.model_copy(update={"files": files}),
        "results": compute_results(card, table),
    }
    dump_card(card.model_copy(update=changes), out / "card.yaml")


def main() -> None:
    """Make and publish every rerun."""
    forge()
    publish(WORK / FORGED / "out", BOARD / FORGED)
    for name, kind in RERUNS:
        out = WORK / name / kind
        if not (out / "verdict.json").is_file():
            who = ("--name", "safebench", "--organisation", "Board's own studies")
            safebench(
                "rerun", WORK / name / "out", "--kind", kind, "--out", out, "--threads", 1, *who
            )
        publish(out, BOARD / name / "reruns" / kind)


if __name__ == "__main__":
    main()
