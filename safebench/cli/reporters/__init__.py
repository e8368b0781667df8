"""How checked cards are shown: a module per format, with a function `render`."""

from safebench.cli.reporters import github, json, sarif, text
from safebench.cli.reporters.interface import Checked, Reporter, Unreadable, unreadable

__all__ = ["REPORTERS", "Checked", "Reporter", "Unreadable", "text", "unreadable"]

REPORTERS: dict[str, Reporter] = {
    "text": text.render,
    "json": json.render,
    "github": github.render,
    "sarif": sarif.render,
}
