"""The page that says how good the small NumPy models get, from the result of its benchmark."""

import json
import math
from pathlib import Path
from typing import Any

RESULT = Path("benchmarks/results/digits.json")

_OPERATIONS = ("First", "Second", "Last", "Max", "Min")


def interval(right: int, total: int) -> tuple[float, float]:
    r"""The 95% interval of a share (Wilson, 1927), which stays inside 0 to 1 even at 100%.

    Args:
        right: how many of ``total`` were right.
        total: how many there were, at least 1.

    Derivation:
        It holds the shares :math:`p` that lie within 1.96 of their own standard errors of what was
        seen: :math:`(\hat p - p)^2 \le z^2 p(1-p)/n`, solved for :math:`p`.
    """
    z = 1.959964
    share = right / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    below = 1 + z * z / total
    # At the ends rounding leaves a trace beyond 0 and 1.
    return max((middle - half) / below, 0.0), min((middle + half) / below, 1.0)


def digits_page(root: Path) -> str | None:
    """The page as Markdown; ``None`` where the benchmark has not been run.

    Args:
        root: the clone.
    """
    path = root / RESULT
    if not path.is_file():
        return None
    result = json.loads(path.read_text("utf-8"))
    made = {
        "digits": _digits,
        "two-digits": _two_digits,
        "ablations": _ablations,
        "six-layers": _six_layers,
    }
    parts = [section(result[name]) for name, section in made.items() if name in result]
    return "\n".join([_INTRODUCTION, *parts])


_INTRODUCTION = """# What the NumPy models reach

One run can be lucky. So each model below was trained from several seeds. A seed makes the split,
the first weights and the order of the batches. No test input occurs in the training part of its
seed. The tests of the seeds are added up, and beside each share stands its 95% interval (Wilson,
1927): how far off a share can be that is taken over so few inputs. The last column has the seed
that did worst.

Steps, rates and sizes were chosen on validation inputs of other seeds, 0 to 2.
"""


def _digits(part: dict[str, Any]) -> str:
    runs = [run for run in part["runs"] if run["variant"] == "fast step"]
    plain = [run for run in part["runs"] if run["variant"] == "plain step"]
    pool = next(row for row in part["pooled"] if row["variant"] == "fast step")
    rows = [
        "| operation | right | of | share and interval | lowest seed |",
        "|:--|--:|--:|:--|--:|",
    ]
    rows += [_row(name, pool, runs) for name in ("all", *_OPERATIONS)]
    training, every = part["recipe"]["training"], part["recipe"]["check_every"]
    firsts = [run["first"] for run in runs if run["first"]]
    text = [
        "The digit encoder reads `Max ( 5 3 9 )` and answers 9. Of its 5,000 inputs 4,000 are for "
        "training, 500 for validation and 500 for the test. It was trained for "
        f"{training['steps']:,} steps of {training['batch_size']} examples.",
        "",
        *rows,
        "",
        f"The model was asked its validation inputs every {every} steps: {len(firsts)} of "
        f"{len(runs)} seeds came to 99%. {_reached(firsts)} The whole training took "
        f"{_spread([run['seconds'] for run in runs])} seconds by the clock, "
        f"{_spread([run['processor'] for run in runs])} of the processor.",
    ]
    for run in plain:
        step = run["first"]
        text.append(
            f"With the plain functions of the chapters, one after the other, the training took "
            f"{run['seconds']:.0f} seconds"
            + (f", and 99% was reached after {step['seconds']:.1f}." if step else ".")
        )
    return "\n".join(["## One digit", "", *text, "", _made(part), ""])


def _two_digits(part: dict[str, Any]) -> str:
    runs, pool = part["runs"], part["pooled"][0]
    rows = ["| answers | right | of | share and interval | lowest seed |", "|:--|--:|--:|:--|--:|"]
    rows += [_row(name, pool, runs) for name in ("all", *_OPERATIONS, "0 to 9", "10 to 99")]
    training = part["recipe"]["training"]
    minutes = [run["processor"] / 60 for run in runs]
    return "\n".join(
        [
            "## Numbers of two digits",
            "",
            "The decoder reads `Max ( 5 3 , 0 9 , 7 0 )` and writes 7, 0 and [EOS]. An answer "
            "counts when all of it is right. Of 10,000 different questions 8,000 are trained on, "
            "1,000 are for validation and 1,000 for the test; the training has "
            f"{training['steps']:,} steps of {training['batch_size']} questions.",
            "",
            *rows,
            "",
            f"A training took {_spread(minutes)} minutes of one processor core.",
            "",
            _made(part),
            "",
        ]
    )


def _ablations(part: dict[str, Any]) -> str:
    training = part["recipe"]["training"]
    return "\n".join(
        [
            "## One part taken out",
            "",
            f"The digit encoder again, with {training['steps']} steps of "
            f"{training['batch_size']} examples, the same for every row. The rate is the whole "
            "model's: a changed one might do better with another.",
            "",
            *_ablation_table(part),
            "",
            _made(part),
            _FINDINGS,
        ]
    )


def _six_layers(part: dict[str, Any]) -> str:
    layers = part["recipe"]["model"]["layers"]
    return "\n".join(
        [
            f"## The same with {layers} layers",
            "",
            *_ablation_table(part),
            "",
            _made(part),
            _DEEP_FINDINGS,
        ]
    )


def _ablation_table(part: dict[str, Any]) -> list[str]:
    rows = [
        f"| model | {' | '.join(_OPERATIONS)} | all | lowest to highest seed | 99% at step |",
        f"|:--|{'--:|' * len(_OPERATIONS)}--:|:--|:--|",
    ]
    for pool in part["pooled"]:
        runs = [run for run in part["runs"] if run["variant"] == pool["variant"]]
        shares = [_share(pool, name) for name in (*_OPERATIONS, "all")]
        each = [_share(run, "all") for run in runs]
        steps = [run["first"]["step"] for run in runs if run["first"]]
        when = f"{min(steps)} to {max(steps)}" if steps else "never"
        if 0 < len(steps) < len(runs):
            when += f" ({len(steps)} of {len(runs)} seeds)"
        rows.append(
            f"| {pool['variant']} | {' | '.join(f'{s:.1%}' for s in shares)} | "
            f"{min(each):.1%} to {max(each):.1%} | {when} |"
        )
    total, every = part["pooled"][0]["total"]["all"], part["recipe"]["check_every"]
    return [
        *rows,
        "",
        f"Shares are of {total:,} test inputs. The last column says when a check on the validation "
        f"inputs, one every {every} steps, first gave 99%.",
    ]


_FINDINGS = """
- **Positions** are the part that nothing replaces. Without them the model reads a bag of digits.
  Max and Min need no more. For First, Second and Last the best guess is the digit that occurs most
  often, right for 43% of all inputs: of 1,000 triples 720 have three different digits (one guess
  in three is right), 270 a pair (two in three), 10 are all alike. The model falls below even that:
  what it remembers are the other orders of the same digits, and their answers.
- **The softmax Jacobian** is the mistake that looks like success: with either wrong gradient the
  loss falls and most answers are right, but not one seed comes to 99%. The right gradient of a
  query's scores, p ⊙ (dp − Σ dp ⊙ p), sums to zero: what one key gains, the others lose. Neither
  ds = p ⊙ dp nor ds = dp does. Which of the two is worse differs from seed to seed, and the seeds
  lie far apart: one run of each would have told a story, and the next run another.
- **The scale**: a head here is 16 wide, so scores without it are four times as large. Softmax
  starts out near one-hot, and learning starts late; the model gets there all the same.
- **Residuals and norms**: with two layers hardly anything is lost without them. They are there for
  depth.
"""

_DEEP_FINDINGS = """
What two layers forgave, more layers do not. Without residuals no seed comes to 99%: every layer
must hand on all that later ones need, and what suffers most is which digit stood second. Without
norms it is a matter of luck: one seed is right on nearly all inputs, another on half of them. The
whole model hardly minds the depth.
"""


def _share(counts: dict[str, Any], name: str) -> float:
    return float(counts["right"][name] / counts["total"][name])


def _row(name: str, pool: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    right, total = pool["right"][name], pool["total"][name]
    low, high = interval(right, total)
    lowest = min(_share(run, name) for run in runs)
    label = f"**{name}**" if name == "all" else name
    return (
        f"| {label} | {right:,} | {total:,} | {right / total:.2%} [{low:.2%}, {high:.2%}] | "
        f"{lowest:.1%} |"
    )


def _reached(firsts: list[dict[str, Any]]) -> str:
    if not firsts:
        return ""
    steps = [first["step"] for first in firsts]
    seconds = _spread([first["seconds"] for first in firsts])
    return f"They did so after {min(steps)} to {max(steps)} steps, {seconds} seconds of training."


def _spread(values: list[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


def _made(part: dict[str, Any]) -> str:
    machine = part["machine"]
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    seeds = ", ".join(map(str, sorted({run["seed"] for run in part["runs"]})))
    return (
        f"Seeds {seeds}; {machine['cores']} cores, {machine['architecture']}, NumPy "
        f"{machine['numpy']} on {threads}; {part['date']}. Made by `benchmarks/digits.py`."
    )
