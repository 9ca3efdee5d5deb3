"""``--mine`` on the commands: the library's own run to compare with, and the exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

CHAPTER = """
import numpy as np
from groundup.scratch.tasks.digits import make_splits
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.trainer import TrainConfig, train

for seed in (0, 1):
    config = EncoderConfig(width=16, heads=2, layers=1, hidden=32)
    model = Encoder.create(config, np.random.default_rng(seed))
    for step in train(model, make_splits(np.random.default_rng(0)).train, TrainConfig(steps=3)):
        pass
print("the chapter ran")
"""
TRAIN = ("-m", "groundup", "digits", "train", "--size", "small", "--epochs", "1")
TRAIN += ("--batch-size", "160", "--output", "model.safetensors")  # 12 steps


def chapter(clone: Any, text: str, *arguments: str, **options: Any) -> Any:
    (clone.root / "chapters" / "07_small.py").write_text(text)
    return clone.python("-m", "groundup", "chapter", "7", *arguments, **options)


def test_a_chapter_is_compared_with_the_librarys_own_run(clone: Any) -> None:
    out = chapter(clone, CHAPTER, "--mine", "5.1,5.2", HIDE="").stdout
    assert out.startswith("the chapter ran\n\nYour code in this run\n")
    assert out.count("the chapter ran") == 1  # the library's own run is heard of, not heard
    assert "Once, to compare: the same run on the library's own functions" in out
    assert out.count("equal at every step") == 2
    assert "Figure runs/figures/your-code.png" in out
    assert (clone.root / "runs" / "figures" / "your-code.png").is_file()
    # It was kept for the next time.
    again = chapter(clone, CHAPTER, "--mine", "5.1").stdout
    assert "Once, to compare" not in again
    assert again.count("equal at every step") == 2
    # A chapter that says something else is another chapter.
    other = chapter(clone, CHAPTER.replace("steps=3", "steps=4"), "--mine", "5.1").stdout
    assert "Once, to compare" in other


def test_curves_that_part_are_shown(clone: Any) -> None:
    clone.mutate("5_1_adam", "no_bias_correction")
    whole = CHAPTER.replace("width=16, heads=2, layers=1, hidden=32", "")
    out = chapter(clone, whole, "--mine", "5").stdout
    assert "part at step 2: " in out


def test_the_option_stands_above_the_variable(clone: Any) -> None:
    out = chapter(clone, CHAPTER, "--mine", "5.1", mine="11.1").stdout
    assert out.count("Your code in this run") == 1
    assert "5.1 adam" in out
    assert "11.1" not in out
    # And the variable alone is enough: the chapter's process writes into the command's report.
    out = chapter(clone, CHAPTER, mine="5.1").stdout
    assert out.count("Your code in this run") == 1
    assert "5.1 adam" in out


def test_exit_codes_of_a_chapter(clone: Any) -> None:
    for ending, code in {"1 / 0": 1, "raise SystemExit(2)": 1, "raise SystemExit(7)": 1}.items():
        chapter(clone, ending, code=code)
    assert chapter(clone, "print(1)", code=0).stdout == "1\n"
    done = chapter(clone, CHAPTER, "--mine", "5.1,11.1", code=1)
    assert done.stderr == "error: never called in this run: 11.1 split_qkv\n"
    done = chapter(clone, CHAPTER + "\n1 / 0", "--mine", "5.1", code=1)
    assert "ZeroDivisionError" in done.stderr
    assert "Once, to compare" not in done.stdout  # it has failed: no second run
    for wrong, words in {"77": "'77'", "91.7": "91.7 is not written yet"}.items():
        done = chapter(clone, CHAPTER, "--mine", wrong, code=2)
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
    clone.write("5_1_adam", "def adam(gradient): return gradient")
    done = chapter(clone, CHAPTER, "--mine", "5.1", code=2)
    where = "exercises/ch05_training/ex_5_1_adam.py"
    assert done.stderr.startswith(f"error: {where}: adam must take (gradient, first, ")
    assert done.stderr.count("\n") == 1
    clone.python("-m", "groundup", "chapter", "--mine", "5", code=2)


def test_ctrl_c_reports_and_is_130(clone: Any) -> None:
    (clone.root / "chapters" / "08_waits.py").write_text(
        CHAPTER + "\nprint('ready', flush=True)\ninput()"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "groundup", "chapter", "8", "--mine", "5.1"],
        cwd=clone.root,
        env=clone.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "the chapter ran\n", process.stderr.read()
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)  # the whole group, as a terminal does
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)
    assert re.search(r"5\.1 adam +90 ", out)
    assert "Once, to compare" not in out
    assert "interrupted" in err


def test_digits_train(clone: Any) -> None:
    out = clone.python(*TRAIN, "--mine", "5.1").stdout
    assert re.search(r"5\.1 adam +324 ", out)
    assert "equal at every step" in out
    kept = clone.root / "model.safetensors"
    assert kept.is_file()
    assert not (clone.root / "runs" / "digits").exists()
    # The library's own run leaves nothing behind: the model is the learner's, made by the rule
    # that climbs.
    before = kept.read_bytes()
    clone.mutate("5_1_adam", "climbs")
    out = clone.python(*TRAIN, "--mine", "5.1").stdout
    assert "part at step 2" in out
    assert kept.read_bytes() != before
    records = list((clone.root / ".cache" / "mine").glob("digits-*.json"))
    assert len(records) == 1
    assert len(json.loads(records[0].read_text())["curves"][0]["losses"]) == 12


def test_a_run_without_torch_stays_without(clone: Any) -> None:
    text = "import sys, atexit\nfrom groundup.cli import main\n"
    text += "atexit.register(lambda: print('torch' in sys.modules))\n"
    text += "main(['digits', 'train', '--size', 'small', '--epochs', '1', '--batch-size', '1000'])"
    assert clone.script(text, mine="5.1").stdout.splitlines().count("False") == 1
