"""`alknet-firewall sae`: train sparse autoencoders on the detector's states, and look at them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alknet_firewall.cli.options import DetectorBackend, DetectorWeights, Threads
from alknet_firewall.cli.sae_codebook import codebook_command
from alknet_firewall.errors import AlknetFirewallError

if TYPE_CHECKING:
    from alknet_firewall.sae import SAE

app = typer.Typer(help="Train sparse autoencoders on the detector's states; look at them.", no_args_is_help=True)
app.command("codebook")(codebook_command)


@app.command("train")
def train_command(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the autoencoder; an interrupted run goes on there.")
    ],
    layer: Annotated[int, typer.Option(min=0, help="Block, counted from 0; layer i is tap i + 1.")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="JSON lines with `text`, or plain lines. Repeatable.")
    ] = None,
    states: Annotated[
        Path | None, typer.Option("--states", help="In place of --data: what `states --tokens all` wrote.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only texts of this label. Repeatable.")] = None,
    architecture: Annotated[str, typer.Option(help="topk or jumprelu.")] = "topk",
    k: Annotated[int, typer.Option(min=1, help="Active features: at most (topk), on average (jumprelu).")] = 64,
    features: Annotated[int, typer.Option(min=1, help="Features for each number of a state.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Updates.")] = 2000,
    batch: Annotated[int, typer.Option(min=2, help="States an update.")] = 512,
    rate: Annotated[float, typer.Option(min=0.0, help="Of learning.")] = 3e-3,
    tokens: Annotated[int, typer.Option(min=2, help="Token states that are trained on, at most.")] = 500_000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    bf16: Annotated[bool, typer.Option("--bf16/--fp32", help="Products in bfloat16: faster where there is.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    weights: DetectorWeights = None,
    backend: DetectorBackend = "auto",
    threads: Threads = None,
) -> None:
    """Train an autoencoder on the states of texts, and save it in the form of SAELens.

    Beside it lie `training.json`, the curve of its losses, and until it is done `checkpoint.safetensors`.
    """
    if (data is None) == (states is None):
        raise typer.BadParameter("give either --data or --states", param_hint="--data")
    try:
        from alknet_firewall.sae.train import TrainSettings, train_sae
    except ImportError as error:
        raise AlknetFirewallError(
            f"training needs the extra `sae`: pip install 'alknet-firewall[sae]' ({error})"
        ) from error

    from alknet_firewall.cli.progress import stages
    from alknet_firewall.cli.render import errors
    from alknet_firewall.detector.cache import write_atomically
    from alknet_firewall.detector.detector import usable_cores
    from alknet_firewall.sae.export import gather_states, read_states

    if device not in ("auto", "cpu", "cuda"):
        raise typer.BadParameter(f"{device!r} is not one of auto, cpu, cuda", param_hint="--device")
    settings = TrainSettings(
        architecture=architecture, k=k, features=features, steps=steps, batch=batch, rate=rate,
        bf16=bf16, device=device, seed=seed,
    )  # fmt: skip
    with stages(errors()) as progress:
        if states is not None:
            found = read_states(states, layer, tokens)
        else:
            found = gather_states(
                _texts(data or [], label), layer, tokens, weights, backend=backend, threads=threads,
                progress=lambda share: progress("states", share),
            )  # fmt: skip
        sae, curve = train_sae(
            found, settings, hook_name=f"model.layers.{layer}", checkpoint=out / "checkpoint.safetensors",
            threads=threads or usable_cores(), progress=lambda share: progress("training", share),
        )  # fmt: skip
    sae.save(out)
    write_atomically(out / "training.json", json.dumps([asdict(point) for point in curve]).encode())
    (out / "checkpoint.safetensors").unlink(missing_ok=True)
    _show(_described(sae, found[:20_000]))


@app.command("info")
def info_command(
    folder: Annotated[Path, typer.Argument(help="Folder with cfg.json and sae_weights.safetensors.")],
    states: Annotated[
        Path | None, typer.Option("--states", help="What `states --tokens all` wrote: how well they come back.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what an autoencoder is, and how well states come back from it."""
    from alknet_firewall.sae import SAE
    from alknet_firewall.sae.export import read_states

    sae = SAE.load(folder)
    found = None if states is None else read_states(states, sae.config.tap - 1, 20_000)
    told = _described(sae, found)
    typer.echo(json.dumps(told)) if as_json else _show(told)


@app.command("top")
def top_command(
    folder: Annotated[Path, typer.Argument(help="Folder with cfg.json and sae_weights.safetensors.")],
    data: Annotated[list[Path], typer.Option("--data", help="JSON lines with `text`, or plain lines. Repeatable.")],
    feature: Annotated[int, typer.Option(min=0, help="Number of the feature.")],
    count: Annotated[int, typer.Option(min=1, help="How many texts.")] = 10,
    weights: DetectorWeights = None,
) -> None:
    """Show the texts in which a feature is most active, and where."""
    from alknet_firewall.cli.render import console, visible
    from alknet_firewall.sae import SAE
    from alknet_firewall.sae.export import strongest_texts

    found = strongest_texts(SAE.load(folder), feature, _texts(data, None), count, weights)
    out = console()
    for value, before, token, after in found:
        out.print(f"{value:8.3f}  {visible(before)}[{visible(token)}]{visible(after)}", soft_wrap=True)
    if not found:
        out.print(f"feature {feature} is active in none of the texts")


def _texts(files: list[Path], labels: list[str] | None) -> list[str]:
    from alknet_firewall.cli.own_texts import read_by_channel
    from alknet_firewall.errors import DataError

    given = [one for own in read_by_channel(files, "response").values() for one in own]
    kept = [one.text for one in given if labels is None or one.label in labels]
    if not kept:
        raise DataError(f"no text is labelled {' or '.join(labels or [])}")
    return kept


def _described(sae: SAE, states: Any) -> dict[str, Any]:
    config = sae.config
    told: dict[str, Any] = {
        "architecture": config.architecture,
        "d_in": config.d_in,
        "d_sae": config.d_sae,
        "hook": config.hook_name,
        "normalize_activations": config.normalize_activations,
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
    }
    if config.architecture == "topk":
        told |= {"k": config.k, "rescale_acts_by_decoder_norm": config.rescale_acts_by_decoder_norm}
    if config.architecture == "jumprelu":
        told["mean_threshold"] = float(sae.weights["threshold"].mean())
    if states is not None:
        told |= {name: round(value, 4) for name, value in asdict(sae.quality(states)).items()}
    return told


def _show(told: dict[str, Any]) -> None:
    from alknet_firewall.cli.render import console, visible

    for name, value in told.items():
        console().print(f"{name.replace('_', ' '):<28} {visible(str(value))}")
