"""One number, one value: what is displayed is rounded in one place."""

from __future__ import annotations

import csv
from pathlib import Path

from click.testing import CliRunner

from safebench.cli.score import command as score
from safebench.words import proportion, signed, signed_interval, with_interval
from tests.site.html_check import read


def plain(text: str) -> str:
    """Return text on one line, with the signs and spaces of a terminal."""
    return " ".join(text.replace("\u2212", "-").replace("\xa0", " ").split())


def test_board_page_csv_and_score_show_the_same(board: Path, site: Path) -> None:
    id = "household"
    with (site / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        row = next(one for one in csv.DictReader(file) if one["id"] == id)
    shown = [
        with_interval(*(float(row[f"{name}{end}"]) for end in ("", "_lower", "_upper")))
        for name in ("harm", "over_refusal", "capability")
    ]
    change = [float(row[f"harm_change{end}"]) for end in ("", "_lower", "_upper")]
    shown.append(f"{signed(change[0])} {signed_interval(*change[1:])}")
    shown.append(proportion(float(row["stability_lower"])))
    folder = str(board / "submissions" / id)
    places = {
        "board": plain(read((site / "index.html").read_text()).text),
        "page": plain(read((site / "submissions" / f"{id}.html").read_text()).text),
        "score": plain(CliRunner().invoke(score, [folder, "--full"]).output),
    }
    missing = [
        (where, text) for where, said in places.items() for text in shown if text not in said
    ]
    assert missing == []
