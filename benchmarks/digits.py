"""How good are the digit models on inputs they have never seen, and what is each part for?

    python benchmarks/digits.py
    python benchmarks/digits.py --only two-digits --seeds 3 4
    python benchmarks/digits.py --quick

Four parts. "digits" trains the digit encoder (medium size) with the fast step, and once with the
plain one. "two-digits" trains the decoder that answers on numbers from 0 to 99. "ablations" trains
the digit encoder with one part taken out at a time, each for the same number of steps; "six-layers"
does that with an encoder three times as deep.

A seed makes the split, the first weights and the order of the batches. The recipes were chosen on
the validation inputs of other seeds (0 to 2); test inputs are read by the trained model alone.
Seconds are those of training, by the clock and of the processor; the checks on validation inputs,
which find when 99% is reached first, are not counted.

A run that is already in the result, under the same recipe, versions and machine, is not made again:
stop the benchmark when you like, and go on later. The result is benchmarks/results/digits.json.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# As the chapters and the commands set it: before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from digits_ablations import ABLATIONS

from groundup.lab.files import read_json, write_json
from groundup.lab.intervals import wilson_interval
from groundup.scratch import language
from groundup.scratch.decoder import Decoder
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.fast import FastTrainer
from groundup.scratch.tasks import digits, two_digits
from groundup.scratch.tasks.digits import accuracy
from groundup.scratch.trainer import OptimizerStep, TrainConfig, train

RESULTS = Path(__file__).parent / "results" / "digits.json"
SEEDS = (3, 4, 5, 6, 7)
AIM = 0.99  # of the validation inputs: when is it reached first?
EPOCHS = 10
DIGITS = TrainConfig(steps=digits.steps("medium", EPOCHS, TrainConfig.batch_size))
ABLATED = replace(DIGITS, steps=600)
DEEP = ("whole model", "without residuals", "without norms")

Run = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One part of the benchmark.

    Attributes:
        config: how its models are trained.
        model: their shape, an encoder's config or a decoder's.
        every: steps from one check on the validation inputs to the next.
        variants: what is trained, and whether on each seed or on the first one alone.
        train: trains one variant, by this part and a config with a seed, and tests it.
    """

    config: TrainConfig
    model: Any
    every: int
    variants: Mapping[str, bool]
    train: Callable[["Part", str, TrainConfig], Run]

    def recipe(self) -> dict[str, Any]:
        """What the runs have in common, for the result."""
        training = {name: value for name, value in asdict(self.config).items() if name != "seed"}
        return {"training": training, "model": asdict(self.model), "check_every": self.every}


def follow(
    source: Iterator[OptimizerStep], steps: int, every: int, check: Callable[[], float]
) -> dict[str, Any]:
    """Train to the end, and look at the validation inputs on the way.

    Args:
        source: the training, a step at a time.
        steps: how many there will be.
        every: steps from one check to the next.
        check: the share of the validation inputs that is right.

    Returns:
        The seconds it took, and the step and seconds at the first check that gave :data:`AIM`.
    """
    spent = np.zeros(2)
    first = None
    begin = _clocks()
    for step in source:
        if step.step % every == 0 and first is None:
            spent += _clocks() - begin
            share = check()
            if share >= AIM:
                first = {"step": step.step, **_seconds(spent)}
            print(f"    {step.step:6,} of {steps:,} steps: {share:7.2%} of validation", flush=True)
            begin = _clocks()
    return {**_seconds(spent + _clocks() - begin), "first": first}


def run_digits(part: Part, variant: str, config: TrainConfig) -> Run:
    """The digit encoder, trained with the fast step or with the plain one."""
    splits = digits.make_splits(np.random.default_rng(config.seed))
    model = Encoder.create(part.model, np.random.default_rng([config.seed, 1]))
    if variant == "fast step":
        trainer = FastTrainer(model, config.weight_decay, config.clip)
        source = trainer.train(splits.train, config)
    else:
        source = train(model, splits.train, config)
    times = follow(
        source, config.steps, part.every, lambda: accuracy(model, splits.validation)["all"]
    )
    groups = {name: splits.test.operations == i for i, name in enumerate(digits.OPERATIONS)}
    return {**times, **counted(accuracy(model, splits.test), groups)}


def run_ablation(part: Part, variant: str, config: TrainConfig) -> Run:
    """The digit encoder with the plain step and without one of its parts."""
    with ABLATIONS[variant]():
        return run_digits(part, "plain step", config)


def run_two_digits(part: Part, variant: str, config: TrainConfig) -> Run:
    """The decoder on numbers from 0 to 99."""
    splits = two_digits.make_splits(np.random.default_rng(config.seed))
    model = Decoder.create(part.model, np.random.default_rng([config.seed, 1]))
    source = language.train(model, splits.train.rows(), config)
    test, validation = splits.test, splits.validation
    times = follow(
        source, config.steps, part.every, lambda: two_digits.exact_match(model, validation)["all"]
    )
    groups = {name: test.operations == i for i, name in enumerate(digits.OPERATIONS)}
    groups |= {"0 to 9": test.answers < 10, "10 to 99": test.answers >= 10}
    return {**times, **counted(two_digits.exact_match(model, test), groups)}


PARTS = {
    "digits": Part(
        DIGITS, EncoderConfig(), 25, {"fast step": True, "plain step": False}, run_digits
    ),
    "two-digits": Part(
        two_digits.TRAINING, two_digits.MODEL, 500, {"decoder": True}, run_two_digits
    ),
    "ablations": Part(ABLATED, EncoderConfig(), 50, dict.fromkeys(ABLATIONS, True), run_ablation),
    "six-layers": Part(
        ABLATED, EncoderConfig(layers=6), 50, dict.fromkeys(DEEP, True), run_ablation
    ),
}


def counted(shares: dict[str, float], groups: dict[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """Shares of right answers as counts, which can be added up over seeds."""
    total = {name: int(chosen.sum()) for name, chosen in groups.items()}
    total = {"all": len(next(iter(groups.values()))), **total}
    return {"right": {name: round(shares[name] * n) for name, n in total.items()}, "total": total}


def pooled(runs: list[Run]) -> list[dict[str, Any]]:
    """Each variant's counts, added up over its seeds."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        zeros: dict[str, int] = dict.fromkeys(run["total"], 0)
        own = found.setdefault(run["variant"], {"right": zeros, "total": dict(zeros)})
        for kind in ("right", "total"):
            for name, count in run[kind].items():
                own[kind][name] += count
    return [{"variant": variant, **counts} for variant, counts in found.items()]


def machine() -> dict[str, Any]:
    """Whatever the figures depend on."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "threads": int(os.environ["OPENBLAS_NUM_THREADS"]),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def measure(name: str, seeds: list[int], quick: bool) -> None:
    """Make the runs of a part that are not in the result yet, and add each one as it ends."""
    part = PARTS[name]
    head = {"recipe": part.recipe(), "machine": machine()}
    known = (read_json(RESULTS) or {}).get(name, {})
    runs: list[Run] = known["runs"] if head.items() <= known.items() and not quick else []
    for variant, every_seed in part.variants.items():
        for seed in seeds if every_seed else seeds[:1]:
            if any((r["variant"], r["seed"]) == (variant, seed) for r in runs):
                print(f"{name}, {variant}, seed {seed}: in the result")
                continue
            print(f"{name}, {variant}, seed {seed}", flush=True)
            config = replace(part.config, seed=seed)
            if quick:
                config = replace(config, steps=config.steps // 20, warmup=config.warmup // 20)
            run = {"variant": variant, "seed": seed, **part.train(part, variant, config)}
            share = run["right"]["all"] / run["total"]["all"]
            print(f"  {share:.2%} right, {run['seconds']:.1f} s of training", flush=True)
            runs.append(run)
            if not quick:
                keep(name, {"date": f"{datetime.now(UTC):%Y-%m-%d}", **head}, runs)
    for row in pooled(runs):
        right, total = row["right"]["all"], row["total"]["all"]
        low, high = wilson_interval(right, total)
        print(
            f"{row['variant']:48} {right:,} of {total:,}: {right / total:.2%} "
            f"[{low:.2%}, {high:.2%}]"
        )


def keep(name: str, head: dict[str, Any], runs: list[Run]) -> None:
    """Put a part into the result, beside the others."""
    order = {variant: i for i, variant in enumerate(PARTS[name].variants)}
    runs = sorted(runs, key=lambda run: (order[run["variant"]], run["seed"]))
    result = read_json(RESULTS) or {}
    result[name] = {**head, "runs": runs, "pooled": pooled(runs)}
    write_json(RESULTS, {part: result[part] for part in PARTS if part in result})


def _clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def _seconds(spent: np.ndarray) -> dict[str, float]:
    return {"seconds": round(float(spent[0]), 2), "processor": round(float(spent[1]), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="one part (default: all)")
    shown = " ".join(map(str, SEEDS))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, help=f"default: {shown}", metavar="SEED"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one step in twenty; the result is not kept"
    )
    options = parser.parse_args()
    if min(options.seeds) < 0:
        parser.error(f"a seed must not be negative: got {min(options.seeds)}")
    for name in [options.only] if options.only else PARTS:
        measure(name, list(options.seeds), options.quick)
    if not options.quick:
        print(f"kept in {RESULTS}")


if __name__ == "__main__":
    main()
