"""How fast is the encoder? Ours, ModernBERT, BERT and the products alone, in one run.

    python benchmarks/encoder.py
    python benchmarks/encoder.py --quick
    python benchmarks/encoder.py --device cuda --published --lengths 1024 4096 --compile

All models have one width, depth and vocabulary; ours and ModernBERT also the same number of
parameters, and every layer of both sees everything. A training step is forward, backward and AdamW
of encoder and decoder; a fifth of the tokens are predicted, and logits are made for those alone.
The models take turns, in an order drawn anew each round; medians over the rounds are shown. Tokens
a second are real ones: padding does not count.

"uniform" has rows of one length. "ragged" has the lengths of real texts, half of the padded batch
is padding: our model reads it packed, with a mask, and with the padding computed as if it were
text; what packing gains is the first beside the last. "memory" is what two training steps on one
sequence need at most, over what the process held before (Linux, or a GPU).

On a GPU everything runs under bfloat16 autocast, and --peak, the card's dense bfloat16 TFLOP/s,
adds the utilisation: the operations of a step (Size.training_flops in encoder_models.py says how
they are counted) over what the card could have made in that time.

The result is benchmarks/results/encoder-DEVICE.json; --published is kept apart.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from encoder_models import (
    FLOOR,
    MODELS,
    OURS,
    PUBLISHED,
    Batch,
    Products,
    Size,
    ragged,
    uniform,
)
from processor import processor_name
from torch import Tensor, nn

from groundup.lab.files import write_json

RESULTS = Path(__file__).parent / "results"
PREDICTED = 0.2
MEMORY_LENGTHS = (512, 1024, 2048, 4096)


class Trainee:
    """A model on a device, with a decoder and an optimizer.

    Args:
        encoder: gives a vector a token.
        size: of the encoder.
        device: where it lives.
        compiled: let torch compile the encoder.
    """

    def __init__(self, encoder: nn.Module, size: Size, device: str, compiled: bool = False) -> None:
        self.device = device
        self.encoder = encoder.to(device)
        self.decoder = nn.Linear(size.width, size.vocabulary).to(device)
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
        self.run: Callable[..., Any] = torch.compile(encoder) if compiled else encoder

    def forward(self, inputs: dict[str, Any]) -> Tensor:
        """Vectors of the tokens."""
        with self._precision():
            made = self.run(**inputs)
        return made if isinstance(made, Tensor) else made.last_hidden_state

    def infer(self, inputs: dict[str, Any]) -> None:
        """A forward pass without a graph."""
        self.encoder.eval()
        with torch.no_grad():
            self.forward(inputs)
        self._wait()

    def step(self, inputs: dict[str, Any], chosen: Tensor, labels: Tensor) -> float:
        """One training step.

        Args:
            inputs: of the encoder.
            chosen: (P,) the predicted places in the flattened batch.
            labels: (P,) what stood there.
        """
        self.encoder.train()
        hidden = self.forward(inputs).flatten(0, 1)[chosen]
        with self._precision():
            loss = F.cross_entropy(self.decoder(hidden).float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._wait()
        return float(loss.detach())

    def _precision(self) -> Any:
        return torch.autocast("cuda", torch.bfloat16) if self.device == "cuda" else nullcontext()

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def targets(batch: Batch, places: Tensor, size: Size, device: str) -> tuple[Tensor, Tensor]:
    """Every fifth real token is predicted.

    Args:
        batch: the batch.
        places: (N,) of its real tokens, in the flattened form that a model takes.
        size: knows the vocabulary.
        device: where both are needed.
    """
    chosen = places[:: round(1 / PREDICTED)]
    labels = torch.randint(5, size.vocabulary, chosen.shape, generator=torch.Generator())
    return chosen.to(device), labels.to(device)


def race(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each job; they take turns."""
    order = random.Random(0)
    for job in jobs.values():
        for _ in range(2):
            job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name in order.sample(list(jobs), len(jobs)):
            begin = time.perf_counter()
            jobs[name]()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(each) for name, each in times.items()}


def encoders(size: Size, names: list[str]) -> dict[str, nn.Module]:
    """The models of these names, from one seed."""
    makers: dict[str, Callable[[Size], nn.Module]] = {**MODELS, FLOOR: Products}
    made = {}
    for name in names:
        torch.manual_seed(0)
        made[name] = makers[name](size)
    return made


def measure_uniform(
    size: Size, rows: int, length: int, rounds: int, device: str, compiled: bool
) -> list[dict[str, Any]]:
    """All models on rows of one length."""
    batch = uniform(rows, length, size.vocabulary)
    names = [FLOOR, *MODELS]
    trainees = {n: Trainee(e, size, device, compiled) for n, e in encoders(size, names).items()}
    places = torch.arange(batch.tokens)
    return _time(size, batch, dict.fromkeys(names, (batch.unmasked(device), places)), trainees,
                 rounds, device)  # fmt: skip


def measure_ragged(
    size: Size, rows: int, longest: int, rounds: int, device: str, compiled: bool
) -> list[dict[str, Any]]:
    """Ours in three forms, and the others with a mask, on rows of real lengths."""
    batch = ragged(rows, longest, size.vocabulary)
    own = Trainee(encoders(size, [OURS])[OURS], size, device, compiled)
    places = batch.mask.flatten().nonzero().squeeze(1)
    forms: dict[str, tuple[dict[str, Any], Tensor]] = {
        f"{OURS}, packed": (batch.packed(device), torch.arange(batch.tokens)),
        f"{OURS}, with a mask": (batch.padded(device), places),
        f"{OURS}, padding computed": (batch.unmasked(device), places),
    }
    trainees = dict.fromkeys(forms, own)
    others = encoders(size, [name for name in MODELS if name != OURS])
    for name, encoder in others.items():
        forms[f"{name}, with a mask"] = (batch.padded(device), places)
        trainees[f"{name}, with a mask"] = Trainee(encoder, size, device, compiled)
    return _time(size, batch, forms, trainees, rounds, device)


def _time(
    size: Size,
    batch: Batch,
    forms: dict[str, tuple[dict[str, Any], Tensor]],
    trainees: dict[str, Trainee],
    rounds: int,
    device: str,
) -> list[dict[str, Any]]:
    def training(name: str) -> Callable[[], object]:
        inputs, places = forms[name]
        chosen, labels = targets(batch, places, size, device)
        return lambda: trainees[name].step(inputs, chosen, labels)

    def forward(name: str) -> Callable[[], object]:
        return lambda: trainees[name].infer(forms[name][0])

    rows = []
    for kind, make in (("forward", forward), ("training step", training)):
        seconds = race({name: make(name) for name in forms}, rounds)
        rows += [
            {
                "kind": kind,
                "model": name,
                "parameters": sum(p.numel() for p in trainees[name].encoder.parameters()),
                "seconds": round(each, 5),
                "tokens_per_second": round(batch.tokens / each),
            }
            for name, each in seconds.items()
        ]
    return rows


def measure_memory(size: Size, name: str, length: int, device: str) -> float:
    """Mebibytes that two training steps on one sequence need beyond what this process holds."""
    batch = uniform(1, length, size.vocabulary)
    trainee = Trainee(encoders(size, [name])[name], size, device)
    tiny = uniform(1, 8, size.vocabulary)
    trainee.step(tiny.unmasked(device), *targets(tiny, torch.arange(8), size, device))
    before = _begin_peak(device)
    for _ in range(2):
        trainee.step(batch.unmasked(device), *targets(batch, torch.arange(length), size, device))
    return round(_peak(device) - before, 1)


def _begin_peak(device: str) -> float:
    """Forget earlier peaks; what is held now, in mebibytes."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # see proc(5)
    return _status("VmRSS")


def _peak(device: str) -> float:
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else _status("VmHWM")


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    (found,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(found.split()[1]) / 2**10


def in_a_child(*arguments: Any) -> Any:
    """:func:`measure_memory` in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def machine(device: str) -> dict[str, Any]:
    """Whatever the figures depend on."""
    name = torch.cuda.get_device_name() if device == "cuda" else processor_name()
    return {
        "device": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": "bfloat16 autocast" if device == "cuda" else "float32",
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def show(title: str, part: dict[str, Any]) -> None:
    """Print one table."""
    print(f"\n{title}")
    for kind in ("forward", "training step"):
        rows = {row["model"]: row for row in part["rows"] if row["kind"] == kind}
        own = next(row for name, row in rows.items() if name.startswith(OURS))
        print(f"  {kind:34} {'tokens/s':>10} {'ours over it':>13}")
        for name, row in rows.items():
            ratio = own["tokens_per_second"] / row["tokens_per_second"]
            used = f"  {row['utilisation']:.0%} of peak" if "utilisation" in row else ""
            print(f"    {name:32} {row['tokens_per_second']:10,} {ratio:13.2f}{used}", flush=True)


def add_utilisation(part: dict[str, Any], batch: Batch, size: Size, peak: float) -> None:
    """How much of the card's arithmetic the training steps used."""
    predicted = -(-batch.tokens // round(1 / PREDICTED))
    flops = size.training_flops(batch.tokens, batch.seen(), predicted)
    for row in part["rows"]:
        if row["kind"] == "training step":
            row["utilisation"] = round(flops / row["seconds"] / (peak * 1e12), 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--published", action="store_true", help="the 250M model's size")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256], help="default: 256")
    parser.add_argument("--tokens", type=int, default=2048, help="places in a batch")
    parser.add_argument("--rounds", type=int, default=15, help="of each model (default 15)")
    parser.add_argument("--compile", action="store_true", help="let torch compile each encoder")
    parser.add_argument("--peak", type=float, help="the card's dense bfloat16 TFLOP/s")
    parser.add_argument("--quick", action="store_true", help="2 rounds; the result is not kept")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        shape, *arguments = options.child
        print(json.dumps(measure_memory(Size(**shape), *arguments)))
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here")
    size = PUBLISHED if options.published else Size()
    rounds = 2 if options.quick else options.rounds
    result: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(options.device),
        "size": vars(size),
        "compiled": options.compile,
        "uniform": [],
        "ragged": [],
        "memory": [],
    }
    for length in options.lengths:
        count = max(1, options.tokens // length)
        common = (rounds, options.device, options.compile)
        for name, measure, make in (
            ("uniform", measure_uniform, uniform),
            ("ragged", measure_ragged, ragged),
        ):
            rows = count if name == "uniform" else 2 * count  # as many real tokens
            part = {
                "rows_of_batch": rows,
                "length": length,
                "rows": measure(size, rows, length, *common),
            }
            batch = make(rows, length, size.vocabulary)
            part["real_tokens"] = batch.tokens
            part["padding"] = round(1 - batch.tokens / (rows * max(batch.lengths)), 4)
            if options.peak:
                add_utilisation(part, batch, size, options.peak)
            result[name].append(part)
            show(f"{name}: {rows} rows up to {length}, {part['padding']:.0%} padding", part)
    print("\nmemory of two training steps on one sequence, MiB")
    for length in MEMORY_LENGTHS[:1] if options.quick else MEMORY_LENGTHS:
        needed = {name: in_a_child(vars(size), name, length, options.device) for name in MODELS}
        result["memory"].append({"length": length, "mebibytes": needed})
        shown = ", ".join(f"{name} {value:,.0f}" for name, value in needed.items())
        print(f"  {length:5,} tokens: {shown}", flush=True)
    if not options.quick:
        path = RESULTS / f"encoder-{'published-' if options.published else ''}{options.device}.json"
        write_json(path, result)
        print(f"\nkept in {path}")


if __name__ == "__main__":
    main()
