"""`alknet-firewall states`: hidden states of texts in a file, for people who study them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alknet_firewall.cli.options import DetectorBackend, DetectorPrecision, DetectorWeights, Threads


def states_command(
    data: Annotated[
        list[Path], typer.Argument(help="JSON lines with `text`, or one plain text a line.", metavar="FILE...")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the states go, as safetensors.")],
    layers: Annotated[str, typer.Option(help="Blocks, counted from 0, with commas: 3,4,5. Layer i is tap i + 1.")],
    tokens: Annotated[str, typer.Option(help="last, mean or all: which states of a text.")] = "last",
    longest: Annotated[int, typer.Option(min=1, help="Tokens of a text that are read; more are cut, and told.")] = 512,
    weights: DetectorWeights = None,
    backend: DetectorBackend = "auto",
    precision: DetectorPrecision = "fp32",
    threads: Threads = None,
) -> None:
    """Write the residual states of texts, as they leave the blocks.

    The file holds for each layer `layer.N`, (texts, hidden) or with --tokens all (tokens, hidden); then `start`
    (texts + 1) says where each text's tokens begin, and `ids` which they are. Its metadata says which detector it was.
    """
    from alknet_firewall.cli.own_texts import read_by_channel
    from alknet_firewall.cli.progress import stages
    from alknet_firewall.cli.render import errors, print_warning, visible
    from alknet_firewall.sae.export import export_states, open_layers, parse_layers

    if tokens not in ("last", "mean", "all"):
        raise typer.BadParameter(f"{tokens!r} is not one of last, mean, all", param_hint="--tokens")
    detector = open_layers(
        parse_layers(layers), weights, backend=backend, precision=precision, threads=threads, longest=longest
    )
    texts = [given.text for own in read_by_channel(data, "response").values() for given in own]
    with stages(errors()) as progress:
        written = export_states(
            detector, texts, out, tokens=tokens, longest=longest, progress=lambda share: progress("states", share)
        )
    if written.cut:
        print_warning(f"{written.cut} of {written.texts} texts are longer than {longest} tokens and were cut")
    if written.empty:
        print_warning(f"{written.empty} texts without a token were left out")
    errors().print(f"{visible(str(out))}: {written.texts} texts, {written.tokens} tokens")
