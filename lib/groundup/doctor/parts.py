"""The course's own machinery at work: figures, exercises, a NeoBERT, two processes, packages."""

import io
import math
import re
import time
from importlib import metadata
from typing import Any

from groundup.doctor.findings import Judgement, Numbers, Verdict
from groundup.lab.errors import UserError


def measure_figure() -> Numbers:
    """Draw a curve as the chapters do, and write it as PNG."""
    from groundup.lab.plot import figure, style

    begin = time.perf_counter()
    drawn, axes = figure()
    axes.plot([0, 1, 2], [0, 1, 4], label="loss")
    axes.legend()
    file = io.BytesIO()
    import matplotlib

    with matplotlib.rc_context(style()):
        drawn.savefig(file, format="png")
    content = file.getvalue()
    return {
        "seconds": time.perf_counter() - begin,
        "bytes": len(content),
        "png": content.startswith(b"\x89PNG"),
    }


def judge_figure(numbers: Numbers) -> Judgement:
    """A PNG file with something in it."""
    if not numbers["png"]:
        mend = "pip install --force-reinstall -c constraints.txt matplotlib"
        return Judgement(Verdict.FAIL, "what was drawn is no PNG file", mend)
    return Judgement(Verdict.OK, f"drawn, {numbers['bytes'] / 1e3:.0f} kB of PNG")


def measure_exercises() -> Numbers:
    """Read the catalogue, and compare each file with what the library would give now."""
    from groundup.course import clone
    from groundup.course.authoring import stubs
    from groundup.course.catalogue import catalogue

    try:
        root = clone.root()
    except UserError as error:
        return {"clone": False, "why": str(error)}
    exercises = catalogue(root)
    stale: list[str] = []
    edited = 0
    for exercise in exercises:
        for path, text in (
            (exercise.file, stubs.stub_text(exercise)),
            (exercise.solution, stubs.solution_text(exercise)),
        ):
            if path.is_file() and path.read_text("utf-8") == text:
                continue
            if path == exercise.file and path.is_file() and stubs.is_edited(path):
                edited += 1
            else:
                stale.append(path.relative_to(root).as_posix())
    return {"clone": True, "exercises": len(exercises), "edited": edited, "stale": stale}


def judge_exercises(numbers: Numbers) -> Judgement:
    """What a learner has edited is their work; any other difference is a fault."""
    if not numbers["clone"]:
        return Judgement(Verdict.ABSENT, "not checked: no clone to check", numbers["why"])
    if numbers["stale"]:
        more = len(numbers["stale"]) - 1
        measured = f"{numbers['stale'][0]}{f' and {more} more' if more else ''}: not the library's"
        return Judgement(Verdict.FAIL, measured, "groundup course build writes them again")
    measured = f"{numbers['exercises']} match the library; you have edited {numbers['edited']}"
    return Judgement(Verdict.OK, measured)


def measure_neobert() -> Numbers:
    """A training step of a tiny NeoBERT on random tokens."""
    import torch

    from groundup.neobert.configuration import NeoBERTConfig
    from groundup.neobert.modeling import NeoBERTForMaskedLM

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = NeoBERTConfig(
            vocab_size=256,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=96,
            max_length=64,
        )
        model = NeoBERTForMaskedLM(config)
        tokens = torch.randint(1, 256, (4, 32))
    begin = time.perf_counter()
    loss = model(tokens, labels=tokens).loss
    assert loss is not None
    loss.backward()
    gradients = [each.grad for each in model.parameters()]
    reached = sum(each is not None and bool(each.isfinite().all()) for each in gradients)
    value = loss.item()
    return {
        "loss": value if math.isfinite(value) else None,
        "expected": math.log(256),
        "parameters": len(gradients),
        "reached": reached,
        "milliseconds": 1e3 * (time.perf_counter() - begin),
    }


def judge_neobert(numbers: Numbers) -> Judgement:
    """Untrained, it is about as good as chance, ln V; every parameter has a finite gradient."""
    loss, expected = numbers["loss"], numbers["expected"]
    mend = "pip install --force-reinstall -c constraints.txt torch transformers"
    if loss is None or abs(loss - expected) > 1:
        shown = "not finite" if loss is None else f"{loss:.2f}"
        return Judgement(Verdict.FAIL, f"loss {shown}, not about ln 256 = {expected:.2f}", mend)
    measured = f"{numbers['reached']} of {numbers['parameters']} gradients, loss {loss:.2f}"
    if numbers["reached"] < numbers["parameters"]:
        return Judgement(Verdict.FAIL, measured, mend)
    return Judgement(Verdict.OK, measured)


def measure_processes() -> Numbers:
    """Two processes meet on gloo and sum an array."""
    from groundup.train.launch import torchrun

    said: list[dict[str, Any]] = []
    begin = time.perf_counter()
    torchrun("groundup.doctor.gloo", [], 2, said.append)
    return {
        "seconds": time.perf_counter() - begin,
        "ranks": sorted(each["rank"] for each in said),
        "wrong": sum(each["wrong"] for each in said),
        "milliseconds": max((each["milliseconds"] for each in said), default=0.0),
    }


def judge_processes(numbers: Numbers) -> Judgement:
    """Both must have spoken, and every sum must be right."""
    mend = "pip install --force-reinstall -c constraints.txt torch"
    if numbers["ranks"] != [0, 1]:
        return Judgement(Verdict.FAIL, f"heard from {numbers['ranks']}, not from [0, 1]", mend)
    if numbers["wrong"]:
        return Judgement(Verdict.FAIL, f"{numbers['wrong']} sums are wrong", mend)
    measured = f"1 MB summed in {numbers['milliseconds']:.1f} ms; start to end "
    return Judgement(Verdict.OK, f"{measured}{numbers['seconds']:.1f} s")


def measure_packages() -> Numbers:
    """Look for every package that the extra ``embed`` names, through the extras it includes."""
    named = [_requirement(line) for line in metadata.requires("groundup") or []]
    extras, wanted = {"embed"}, set[str]()
    while True:
        found = {name for name, extra in named if extra in extras} - wanted
        if not found:
            break
        wanted |= found
        extras |= {name.partition("[")[2].rstrip("]") for name in found if "[" in name}
    packages = sorted(name for name in wanted if "[" not in name)
    missing = []
    for name in packages:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return {"packages": packages, "missing": missing}


def _requirement(line: str) -> tuple[str, str]:
    """Name and extra of a requirement: ``torch>=2.8; extra == "torch"`` gives torch, torch."""
    name, _, marker = line.partition(";")
    extra = re.search(r"extra == ['\"](\w+)", marker)
    return re.split(r"[\s<>=!~]", name.strip())[0], extra[1] if extra else ""


def judge_packages(numbers: Numbers) -> Judgement:
    """The tour needs them all."""
    if numbers["missing"]:
        measured = f"missing: {', '.join(numbers['missing'])}"
        mend = "pip install -c constraints.txt -e '.[embed]' brings what Part III and the tour need"
        return Judgement(Verdict.ABSENT, measured, mend)
    return Judgement(Verdict.OK, f"all {len(numbers['packages'])} found")
