"""What does a training step cost in NumPy? Ours, torch's and JAX's, beside the products alone.

    python benchmarks/numpy_step.py
    python benchmarks/numpy_step.py --quick --threads 1

The digit encoder (width 64, 4 heads, 2 layers, feed-forward 256, post-norm) in float32: forward,
backward and Adam, on batches without padding. The classifier reads the mean of all tokens, or the
first one. All variants start from the same parameters, and their losses must agree. They take
turns, in an order drawn anew each round; medians and minima over the rounds are shown. Each number
of threads has a process of its own.

The floor is the products of each layer's four maps (query, key and value; output; both of the
feed-forward) with the rows of the batch: x W forward, xᵀ dy and dy Wᵀ backward. Attention's own
products, the classifier's and everything else are left out. "The same ideas" are those of
groundup.scratch.fast that leave work out: the first projection made by token and position, the last
block made for the first token alone, without keys and values.

Memory is that of a process for each variant: the most that was resident, and by how much that grew
over the imports and a first tiny step; for NumPy also the peak of its arrays (tracemalloc).

The result is benchmarks/results/numpy_step.json. JAX is measured where it is installed.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numpy_step_variants import EAGER, FAST, FLOOR, PLAIN, variants
from processor import processor_name

from groundup.lab.files import write_json

RESULTS = Path(__file__).parent / "results" / "numpy_step.json"
SHAPES = ((32, 20), (32, 8), (256, 8))  # batch, length


def measure(threads: int, rounds: int) -> list[dict[str, Any]]:
    """Milliseconds a step of each variant, in this process."""
    import torch

    torch.set_num_threads(threads)
    rows = []
    order = random.Random(0)
    for pooling in ("mean", "first"):
        for batch, length in SHAPES:
            steps = {name: make(batch, length) for name, make in variants(pooling).items()}
            losses = {name: [step() for _ in range(4)][-1] for name, step in steps.items()}
            del losses[FLOOR]
            if max(losses.values()) - min(losses.values()) > 1e-3:
                raise SystemExit(f"the variants do not train alike: {losses}")
            times: dict[str, list[float]] = {name: [] for name in steps}
            for _ in range(rounds):
                for name in order.sample(list(steps), len(steps)):
                    begin = time.perf_counter()
                    steps[name]()
                    times[name].append(1e3 * (time.perf_counter() - begin))
            rows += [
                {
                    "threads": threads,
                    "pooling": pooling,
                    "batch": batch,
                    "length": length,
                    "variant": name,
                    "median_ms": round(statistics.median(each), 3),
                    "min_ms": round(min(each), 3),
                }
                for name, each in times.items()
            ]
    return rows


def memory(pooling: str, name: str, batch: int, length: int) -> dict[str, float]:
    """Mebibytes that this process needed to train a few steps of one variant."""
    steps = 5
    make = variants(pooling)[name]
    is_numpy = name in (PLAIN, FAST)
    # What the first step of any model loads is no part of this one's.
    make(1, 1)()
    before = _resident()
    step = make(batch, length)
    for _ in range(steps):
        step()
    result = {"resident_mib": _resident(), "growth_mib": _resident() - before}
    if is_numpy:
        tracemalloc.start()
        step = make(batch, length)
        for _ in range(steps):
            step()
        result["arrays_mib"] = tracemalloc.get_traced_memory()[1] / 2**20
    return {key: round(value, 2) for key, value in result.items()}


def _resident() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def machine() -> dict[str, Any]:
    """Whatever the figures depend on."""
    import numpy as np
    import torch

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts = {
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numpy_blas": f"{blas['name']} {blas['version']}",
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE"),
        "torch": torch.__version__,
        "torch_mkl": torch.backends.mkl.is_available(),
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    if find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_info

        facts["numpy_blas_kernels"] = [
            info["architecture"] for info in threadpool_info() if info["internal_api"] == "openblas"
        ]
    if find_spec("jax"):
        import jax

        facts["jax"] = jax.__version__
    return facts


def child(task: str, threads: int, *arguments: Any) -> Any:
    """Run one of the functions above in a process with this many threads."""
    each = str(threads)
    env = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), each)
    # JAX has a pool of its own.
    env |= {"NPROC": each, "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"}
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps([task, *arguments])],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def show(rows: list[dict[str, Any]]) -> None:
    """Print one table for each batch, number of threads and pooling."""
    keys = dict.fromkeys((r["threads"], r["pooling"], r["batch"], r["length"]) for r in rows)
    for threads, pooling, batch, length in keys:
        key = (threads, pooling, batch, length)
        table = {
            r["variant"]: r
            for r in rows
            if (r["threads"], r["pooling"], r["batch"], r["length"]) == key
        }
        reads = "every token is read (mean)" if pooling == "mean" else "the first token is read"
        print(f"\n{batch} × {length}, threads: {threads}, {reads}")
        print(f"{'':42} {'median ms':>9} {'min ms':>8} {'× eager':>8} {'× floor':>8}")
        eager, floor = table[EAGER]["median_ms"], table[FLOOR]["median_ms"]
        for name, row in table.items():
            median = row["median_ms"]
            print(
                f"{name:42} {median:9.2f} {row['min_ms']:8.2f} {median / eager:8.2f} "
                f"{median / floor:8.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--rounds", type=int, default=200, help="steps of each (default 200)")
    parser.add_argument("--quick", action="store_true", help="10 rounds; the result is not kept")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task, *arguments = options.child
        tasks: dict[str, Any] = {"measure": measure, "memory": memory, "machine": machine}
        print(json.dumps(tasks[task](*arguments)))
        return
    if min(options.threads) < 1 or options.rounds < 1:
        parser.error("--threads and --rounds must be at least 1")
    if not find_spec("jax"):
        print("JAX is not installed: left out")
    about = child("machine", 1)
    rows = []
    for threads in options.threads:
        print(f"measuring, threads: {threads}", flush=True)
        rows += child("measure", threads, threads, 10 if options.quick else options.rounds)
    show(rows)
    print("\nMiB: the most that was resident, its growth over the imports, NumPy's arrays")
    used = []
    for pooling in ("mean", "first"):
        for batch, length in SHAPES:
            for name in variants(pooling):
                if name == FLOOR:
                    continue
                found = child("memory", 1, pooling, name, batch, length)
                used.append(
                    {"pooling": pooling, "batch": batch, "length": length, "variant": name, **found}
                )
                numbers = "".join(f"{value:9.1f}" for value in found.values())
                print(f"{batch} × {length} {pooling:6} {name:42}{numbers}", flush=True)
    if options.quick:
        return
    write_json(
        RESULTS,
        {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": about,
            "rounds": options.rounds,
            "times": rows,
            "memory": used,
        },
    )
    print(f"kept in {RESULTS}")


if __name__ == "__main__":
    main()
