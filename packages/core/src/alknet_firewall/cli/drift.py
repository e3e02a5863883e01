"""`alknet-firewall drift`: whether recent traffic still is what the false-alarm rates were learnt from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alknet_firewall.cli.own_texts import Given, measuring_engine, read_by_channel, screened
from alknet_firewall.cli.screen import Channel

if TYPE_CHECKING:
    from alknet_firewall.codebook.codebook import Codebook
    from alknet_firewall.codebook.text_rates import WindowLogOdds
    from alknet_firewall.evaluate.drift import RecentTexts

_DRIFT = 3


def drift_command(
    recent: Annotated[
        list[Path],
        typer.Option(
            help="Recent traffic: JSON lines with `text` (and `channel`), or one plain text a line."
        ),
    ],
    channel: Annotated[Channel, typer.Option(help="Of texts that do not name theirs.")] = Channel.USER,
    codebook: Annotated[
        Path | None, typer.Option(help="Codebook to compare with (default: the configured one).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Compare recent traffic with the calibration, and say whether to recalibrate; exit status 3 for drift."""
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.evaluate.drift import State, drift

    texts = read_by_channel(recent, channel.value)
    engine = measuring_engine(settings(config, codebook))
    book = engine.codebook
    found = drift({name: _recent(book, name, listed) for name, listed in screened(engine, texts).items()})
    drifted = any(one.state is State.DRIFT for one in found.values())
    if as_json:
        channels = {name: one.to_dict() for name, one in found.items()}
        typer.echo(json.dumps({"drift": drifted, "channels": channels}))
    else:
        from alknet_firewall.cli.drifted import show

        own = book.provenance.get("recalibrated", {}).get("texts", {})
        show(found, set(own))
    if drifted:
        raise typer.Exit(_DRIFT)


def _recent(codebook: Codebook, channel: str, listed: Sequence[tuple[Given, WindowLogOdds]]) -> RecentTexts:
    import numpy as np

    from alknet_firewall.codebook.suspects import attack_chances
    from alknet_firewall.codebook.text_rates import shipped, text_log_rates
    from alknet_firewall.evaluate.drift import RecentTexts

    texts = [log_odds for _, log_odds in listed]
    surprise = -text_log_rates(shipped(codebook), channel, texts)
    vetted = np.array([given.vetted for given, _ in listed])
    chances = attack_chances(surprise, np.ones(len(texts)), vetted)
    tables = codebook.combined or next(iter(codebook.behaviors.values())).tables
    return RecentTexts(text_log_rates(codebook, channel, texts), 1 - chances, tables[channel].count)
