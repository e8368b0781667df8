"""`--plots PATH`: a folder of our own pictures, or one file for a paper."""

from __future__ import annotations

from pathlib import Path

import click

from safebench.analysis.figure import SUFFIXES, write_figure
from safebench.analysis.report import ScoreReport

_OTHER = (".eps", ".gif", ".jpeg", ".jpg", ".ps", ".tif", ".tiff", ".webp")


def write(report: ScoreReport, path: Path) -> list[Path]:
    """Write the pictures that a path asks for, and return every file that was written."""
    suffix = path.suffix.lower()
    if path.is_dir() or suffix not in (*SUFFIXES, *_OTHER):
        from safebench.site.plots import write_plots

        return write_plots(report, path)
    if suffix in _OTHER:
        raise click.UsageError(
            f"--plots {path}: give a folder, or a file that ends in {', '.join(SUFFIXES)}"
        )
    write_figure(report, path)
    return [path]
