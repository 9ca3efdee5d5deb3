"""Whatever a probe does to its process becomes a result."""

import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from groundup.doctor import probes
from groundup.doctor.machine_probe import Judgement, ProbeVerdict
from groundup.doctor.probes import PROBES
from groundup.doctor.report import examine
from groundup.doctor.worker import attempt, judge_answer

OK, _, FAIL, ABSENT = ProbeVerdict
PROBE = {probe.name: probe for probe in PROBES}


def test_what_a_probe_raises_becomes_a_result() -> None:
    def broken() -> NoReturn:
        raise RuntimeError("no such\n  kernel")

    probe = replace(PROBE["numpy"], measure=broken)
    judgement = judge_answer(probe, attempt(probe))
    assert judgement == Judgement(FAIL, "RuntimeError: no such kernel", probe.mend)


@pytest.mark.parametrize(
    ("missing", "verdict", "mend"),
    [("torch", ABSENT, "-e '.[embed]' gives Parts II and III"), ("sympy", FAIL, "torch")],
)
def test_a_package_that_is_not_there(missing: str, verdict: ProbeVerdict, mend: str) -> None:
    """What was not installed is absent. A package that it lacks itself means it is broken."""

    def absent() -> NoReturn:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=f"{missing}.inner")

    probe = replace(PROBE["torch"], measure=absent)
    judgement = judge_answer(probe, attempt(probe))
    assert judgement.verdict == verdict
    assert mend in judgement.mend


# A module for the child: its probes crash, hang, chatter, leave.
CHILD = """
import os, signal, time
from groundup.doctor import probes
from groundup.doctor.machine_probe import Judgement, MachineProbe, ProbeVerdict

def crash():
    os.kill(os.getpid(), signal.SIGILL)

def leave():
    os.write(2, b"libfoo.so: cannot open\\n")
    os._exit(3)

def chatter():
    print("welcome to a library")
    return {"answer": 42}

def show(numbers):
    return Judgement(ProbeVerdict.OK, str(numbers))

def probe(name, measure, **more):
    return MachineProbe(name, "G", measure, show, "mend it", **more)

probes.PROBES = (
    probe("crash", crash),
    probe("hang", lambda: time.sleep(60), seconds=1.0),
    probe("leave", leave),
    probe("chatter", chatter),
    probe("after", chatter, needs=("crash",)),
    probe("later", chatter, needs=("chatter",)),
)
"""


def test_crashes_and_hangs_become_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python imports sitecustomize when it starts, so the child has these probes too.
    (tmp_path / "sitecustomize.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(probes, "PROBES", PROBES)  # the text replaces it, this puts it back
    exec(CHILD, {})
    begin = time.perf_counter()
    results = list(examine(probes.PROBES))
    assert time.perf_counter() - begin < 20
    said = [each.probe.name for each in results]
    assert said == ["crash", "hang", "leave", "chatter", "after", "later"]
    shown = [(each.verdict, each.judgement.measured, each.judgement.mend) for each in results]
    assert shown == [
        (FAIL, "the process ended with SIGILL", "mend it"),
        (FAIL, "no answer within 1 s", "mend it"),
        (FAIL, "the process ended with exit code 3. libfoo.so: cannot open", "mend it"),
        (OK, "{'answer': 42}", ""),
        (ABSENT, "not run: needs G", ""),
        (OK, "{'answer': 42}", ""),
    ]
    assert results[3].numbers == {"answer": 42}
