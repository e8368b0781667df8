"""`safebench schema`: print the card's JSON Schema."""

from __future__ import annotations

import click

from safebench.card.schema import schema_text


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema (2020-12) of a card, for editors and other validators.

    It covers the structure of a card; `safebench validate` also applies the rules that a schema
    cannot express.
    """
    click.echo(schema_text(), nl=False)
