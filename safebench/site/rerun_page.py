"""The report of a rerun as one page: it loads nothing, reads on a phone, and prints well."""

from __future__ import annotations

from safebench.analysis.rerun_facts import SHOWS, facts
from safebench.card.card import Card
from safebench.evidence.verdicts import RerunReport
from safebench.site.environment import page_environment
from safebench.words import checkpoint, construct_name, count, percent, plain, proportion, signed


def rerun_page(report: RerunReport, original: Card) -> bytes:
    """Return the page; all text of cards is escaped."""
    environment = page_environment()
    environment.filters |= {
        "checkpoint": checkpoint,
        "construct": construct_name,
        "count": count,
        "percent": percent,
        "plain": plain,
        "proportion": proportion,
        "signed": signed,
    }
    style = environment.get_template("rerun.css").render()
    page = environment.get_template("rerun.html").render(
        r=report,
        title=original.submission.title,
        shows=SHOWS[report.kind],
        facts=list(facts(report)),
        style=style,
    )
    return page.encode()
