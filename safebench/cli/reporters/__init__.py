"""How checked cards are shown: one module per format.

text    for people: each finding at its place, with the source line
json    for programs: what spec/v1/report.schema.json says
github  workflow commands, which GitHub Actions shows at the lines of a change
sarif   SARIF 2.1.0, which code scanning services read
"""

from safebench.cli.reporters.github import GithubReporter
from safebench.cli.reporters.interface import Checked, Reporter, Unreadable, unreadable
from safebench.cli.reporters.json import JsonReporter
from safebench.cli.reporters.sarif import SarifReporter
from safebench.cli.reporters.text import TextReporter

__all__ = ["REPORTERS", "Checked", "Reporter", "Unreadable", "unreadable"]

REPORTERS: dict[str, type[Reporter]] = {
    "text": TextReporter,
    "json": JsonReporter,
    "github": GithubReporter,
    "sarif": SarifReporter,
}
