"""Does deception show in SmolLM2-135M, and do sparse autoencoders show it better? One command for the whole study.

    python studies/deception/run.py DATA... --folder FOLDER [--threads N] [--seeds N]

DATA holds rows labelled `honest` and `deception` (docs/data-format.md). Everything lies in FOLDER: an interrupted run
goes on. Writes `study.html`, `study.md` and `study.json` there. Needs the extras `sae`, `compile` and `evaluate`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import grid
import reading
import texts


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", nargs="+", type=Path, help="JSON-lines files, or folders of them")
    arguments.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--seeds", type=int, default=3, help="answers of the model to each question and prompt")
    arguments.add_argument("--until", choices=("states", "saes", "all"), default="all", help="where to stop")
    options = arguments.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    said = texts.said_by_model(options.folder / "completions", options.seeds)
    every = texts.all_texts(options.data, said)
    probed = texts.probed_texts(every)
    training = [text for text in every if not text.probed]
    model = reading.detector(options.threads)
    states = options.folder / "states"
    lists = {
        "texts": probed,
        "training": training,
        "swapped": texts.swapped(probed),
        "instructed": texts.instructed(probed),
        "prompted": texts.behind_prompt(probed),
    }
    tokens = {name: reading.Tokens(model, own, states, name) for name, own in lists.items()}
    if options.until == "states":
        return
    grid.train_grid(training, tokens["training"], options.folder / "saes")
    if options.until == "saes":
        return
    import results

    results.write(options.folder, lists, tokens, said)


if __name__ == "__main__":
    main()
