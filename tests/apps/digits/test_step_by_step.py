"""What is shown of one question: its numbers are the model's own, and Enter goes on."""

from pathlib import Path

import numpy as np
import pytest

from groundup.apps.digits import digit_model, step_by_step
from groundup.apps.digits.recipes import DigitRecipe
from groundup.apps.session.bars import heat
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.tasks.digits import make_splits
from groundup.scratch.trainer import OptimizerStep, loss_and_gradients


def test_the_steps_that_are_shown() -> None:
    shown = [step for step in range(1200) if step_by_step.is_shown(step)]
    assert shown == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def test_a_snapshot_is_the_models_own() -> None:
    model = Encoder.create(EncoderConfig(), np.random.default_rng(0))
    example = make_splits(np.random.default_rng(0)).test.take(np.array([3]))
    before = {name: value.copy() for name, value in model.params.items()}
    seen = step_by_step.take_snapshot(model, example)
    loss, grads = loss_and_gradients(model, example)
    assert seen.loss == loss
    assert seen.loss == pytest.approx(-np.log(seen.probabilities[example.answers[0]]), rel=1e-5)
    np.testing.assert_allclose(seen.attention.sum(axis=-1), 1, rtol=1e-5)
    # The parts are all there is, and each is counted once.
    total = np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in grads.values()))
    assert np.sqrt(sum(n**2 for n in seen.gradients.values())) == pytest.approx(total)
    assert len(seen.gradients) == 8
    assert seen.gradients["embedding"] == pytest.approx(float(np.linalg.norm(grads["embedding"])))
    for name, value in before.items():
        np.testing.assert_array_equal(model.params[name], value)


def test_heat_has_eight_shades() -> None:
    assert heat(np.linspace(-1, 1, 8), 1.0) == "▁▂▃▄▅▆▇█"
    assert heat(np.array([-9.0, 9.0]), 1.0) == "▁█"


def test_enter_goes_on_and_q_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = DigitRecipe("small", 1, 50, arguments=2)
    training, _ = digit_model.begin(recipe, tmp_path / "model.safetensors")
    replies = iter(["", "", "q"])
    asked = []

    def reply(prompt: str) -> str:
        asked.append(prompt)
        return next(replies)

    monkeypatch.setattr(step_by_step.console, "input", reply)
    monkeypatch.setattr(step_by_step.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(step_by_step.sys.stdout, "isatty", lambda: True)
    show = step_by_step.begin(training, "Max ( 5 3 )", recipe)
    losses = list[OptimizerStep]()
    training.run(lambda step: (losses.append(step), show(step))[1], lambda _: None)
    assert len(losses) == 40
    assert len(asked) == 3
    out = capsys.readouterr().out
    assert out.count("probabilities\n") == 3
    assert "Training on" in out
