"""What does each part of the modern block change? Hidden bytes, one budget, three seeds.

    python benchmarks/modern_block.py
    python benchmarks/modern_block.py --quick

Each variant is a small NeoBERT with one part put back to the form of 2017, or all four. The task is
masked language modelling on the bytes of documentation text (``groundup.data.corpus``): a fifth of
the bytes is hidden, and the model says what they were. All variants are trained for the same number
of steps on the same rows in the same order, at each of two learning rates; a variant's figure is
that of the rate with the lower mean over the seeds. The loss is measured on held-out modules, on
the same hidden bytes for all.

Two variants are then read at lengths that they were not trained on: rotary positions as they are,
divided by a scale, and with a larger theta; and the learned table of positions.

A run that is already in the result, under the same recipe and versions, is not made again. The
result is benchmarks/results/modern_block.json. About 15 minutes of one core.
"""

import argparse
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor, nn

from groundup.data.corpus import Corpus, read_packages
from groundup.lab.files import read_json, write_json
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.mlm import IGNORE, mask_tokens
from groundup.neobert.modeling import NeoBERTForMaskedLM
from groundup.train.config import LoopConfig
from groundup.train.loop import fit

RESULTS = Path(__file__).parent / "results" / "modern_block.json"
SEEDS = (0, 1, 2)
RATES = (2e-3, 6e-3)
OLD = {
    "learned positions": {"position_embedding_type": "absolute"},
    "norm after the sum": {"norm_position": "post"},
    "LayerNorm": {"norm_type": "layer_norm"},
    "GELU": {"hidden_act": "gelu"},
}
VARIANTS: dict[str, dict[str, str]] = {
    "modern": {},
    **OLD,
    "all four": {key: value for part in OLD.values() for key, value in part.items()},
}
READ_LONGER = ("modern", "learned positions")
HIDDEN = 256  # the id of a hidden byte; the others are the bytes themselves
MODEL = {
    "vocab_size": HIDDEN + 1,
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 384,
    "max_length": 512,
    "initializer_range": 0.1,
    "sparse_prediction": True,
}
LENGTH = 64
LONGER = (64, 128, 256, 512)
TRAINING = LoopConfig(steps=600, warmup=0.1, floor=0.1, weight_decay=0.01)
HELD_OUT_BYTES = 2**16

Run = dict[str, Any]


@dataclass
class HiddenBytes:
    """The objective: rows of one length from random places of a text, a fifth of the bytes hidden.

    Attributes:
        stream: (N,) the bytes of the text.
        length: T.
        rows: B.
        seed: of places and masks, with the number of the batch.
    """

    stream: Tensor
    length: int = LENGTH
    rows: int = 16
    seed: int = 0
    coupled: bool = False

    def batch(self, index: int, rank: int = 0, processes: int = 1) -> dict[str, Tensor]:
        """Micro-batch ``index`` of process ``rank``: input_ids and labels."""
        place = index * processes + rank
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + place)
        last = len(self.stream) - self.length
        starts = torch.randint(last + 1, (self.rows, 1), generator=generator)
        ids = self.stream[starts + torch.arange(self.length)]
        everywhere = torch.ones_like(ids, dtype=torch.bool)
        hidden, labels = mask_tokens(ids, everywhere, HIDDEN, 0.2, generator)
        return {"input_ids": hidden, "labels": labels}

    def count(self, batch: dict[str, Tensor]) -> int:
        """The number of hidden bytes."""
        return int((batch["labels"] != IGNORE).sum())

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The summed cross-entropy of the hidden bytes, in nats."""
        loss: Tensor = model(**batch, num_items_in_batch=1).loss
        return loss


def stream(corpus: Corpus) -> Tensor:
    """All paragraphs of a corpus as bytes, (N,)."""
    text = "\n".join(corpus.text()).encode()
    return torch.from_numpy(np.frombuffer(text, dtype=np.uint8).astype(np.int64))


@torch.no_grad()
def held_out_loss(model: NeoBERTForMaskedLM, text: Tensor, length: int) -> float:
    """Mean loss in nats over the hidden bytes of rows of one length."""
    model.eval()
    data = HiddenBytes(text, length, rows=HELD_OUT_BYTES // length // 8, seed=1000)
    batches = [data.batch(index) for index in range(8)]
    total = sum(float(data.loss(model, batch)) for batch in batches)
    return round(total / sum(map(data.count, batches)), 5)


def longer(model: NeoBERTForMaskedLM, text: Tensor) -> dict[str, dict[str, float]]:
    """The held-out loss at each length, by how positions are treated."""
    config = model.config
    kept = config.rope_theta, config.rope_scale
    found: dict[str, dict[str, float]] = {}
    for length in LONGER:
        s, k = length / LENGTH, config.head_dim
        treatments = {"as trained": kept}
        if config.position_embedding_type == "rotary":
            treatments["positions divided"] = kept[0], s
            # The slowest pair then turns s times as slowly, and the fastest as before.
            treatments["larger theta"] = kept[0] * s ** (k / (k - 2)), 1.0
        for name, (config.rope_theta, config.rope_scale) in treatments.items():
            found.setdefault(name, {})[str(length)] = held_out_loss(model, text, length)
    config.rope_theta, config.rope_scale = kept
    return found


def run(variant: str, lr: float, seed: int, steps: int, texts: tuple[Tensor, Tensor]) -> Run:
    """Train one variant and measure it on the held-out text."""
    torch.manual_seed(seed)
    model = NeoBERTForMaskedLM(NeoBERTConfig(**MODEL, **VARIANTS[variant]))
    begin = time.process_time()
    fit(model, HiddenBytes(texts[0], seed=seed), replace(TRAINING, steps=steps, lr=lr, seed=seed))
    seconds = time.process_time() - begin
    made = {
        "variant": variant,
        "lr": lr,
        "seed": seed,
        "processor": round(seconds, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "held_out_loss": held_out_loss(model, texts[1], LENGTH),
    }
    return made | ({"longer": longer(model, texts[1])} if variant in READ_LONGER else {})


def unigram_loss(train: Tensor, held_out: Tensor) -> float:
    """What knowing the frequencies of the bytes alone would cost, in nats a byte."""
    counts = torch.bincount(train, minlength=HIDDEN) + 1
    return round(float(-(counts / counts.sum()).log()[held_out].mean()), 4)


def measure(seeds: Sequence[int], steps: int, keep: bool) -> list[Run]:
    """Make the runs that are not in the result yet, and add each one as it ends."""
    corpus = read_packages()
    train, development, _ = corpus.split()
    texts = stream(train), stream(development)
    head = {
        "model": MODEL,
        "length": LENGTH,
        "training": asdict(replace(TRAINING, steps=steps)),
        "rates": list(RATES),
        "corpus": corpus.fingerprint,
        "versions": corpus.versions | {"torch": torch.__version__},
        "unigram_loss": unigram_loss(*texts),
    }
    head["training"] = {k: v for k, v in head["training"].items() if k not in ("lr", "seed")}
    head["training"]["betas"] = list(TRAINING.betas)
    head["training"]["no_decay"] = list(TRAINING.no_decay)
    known = read_json(RESULTS) or {}
    runs: list[Run] = known["runs"] if keep and head.items() <= known.items() else []
    made = {(each["variant"], each["lr"], each["seed"]) for each in runs}
    for wanted in [(v, lr, seed) for seed in seeds for v in VARIANTS for lr in RATES]:
        if wanted in made:
            continue
        runs.append(run(*wanted, steps, texts))
        variant, lr, seed = wanted
        print(f"{variant:20} lr {lr} seed {seed}: {runs[-1]['held_out_loss']:.4f}", flush=True)
        if keep:
            machine = {"cores": os.cpu_count(), "architecture": platform.machine()}
            date = f"{datetime.now(UTC):%Y-%m-%d}"
            write_json(RESULTS, {"date": date, "machine": machine, **head, "runs": runs})
    return runs


def best(runs: Sequence[Run], variant: str) -> list[Run]:
    """A variant's runs at its better learning rate, by the mean over seeds."""
    own = [[r for r in runs if (r["variant"], r["lr"]) == (variant, lr)] for lr in RATES]
    return min(own, key=lambda group: np.mean([each["held_out_loss"] for each in group]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="one seed, 20 steps; the result is not kept"
    )
    options = parser.parse_args()
    assert TRAINING.steps is not None
    if options.quick:
        runs = measure(SEEDS[:1], 20, keep=False)
    else:
        runs = measure(SEEDS, TRAINING.steps, keep=True)
    print(f"{'':20} {'rate':>6} {'mean':>8} {'lowest':>8} {'highest':>8}  nats a hidden byte")
    for variant in VARIANTS:
        group = best(runs, variant)
        losses = [each["held_out_loss"] for each in group]
        shown = f"{np.mean(losses):8.4f} {min(losses):8.4f} {max(losses):8.4f}"
        print(f"{variant:20} {group[0]['lr']:6} {shown}")


if __name__ == "__main__":
    main()
