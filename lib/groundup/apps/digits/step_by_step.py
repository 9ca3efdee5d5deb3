"""One question while the model learns: what it reads, where it looks, what it says, what moves.

The question is looked at from outside: the numbers come from a forward and a backward pass of
their own, and change nothing in the training.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from rich.text import Text

from groundup.apps.digits.digit_model import token_ids
from groundup.apps.digits.questions import read_question
from groundup.apps.digits.recipes import DigitRecipe
from groundup.apps.session import bars
from groundup.apps.session.resumable_training import ResumableTraining
from groundup.lab.console import console
from groundup.scratch.activations import softmax
from groundup.scratch.encoder import Encoder
from groundup.scratch.examples import Examples
from groundup.scratch.tasks.digits import EOS, TOKEN_IDS, VOCABULARY, answer, make_splits
from groundup.scratch.trainer import OptimizerStep, loss_and_gradients
from groundup.scratch.types import Array, Params

_SHOWN = 32  # numbers of an embedding that are drawn, of 64
_PARTS = {
    "embedding": ("embedding",),
    "attention": ("wqkv", "bqkv", "wo", "bo"),
    "feed-forward": ("w1", "b1", "w2", "b2"),
    "layer norms": ("gamma", "beta"),
    "classifier": ("classifier",),
}


def is_shown(step: int) -> bool:
    """Whether a step is shown: 0, 1, 2, 5, 10, 20, 50, 100, and so on."""
    return step == 0 or str(step).rstrip("0") in ("1", "2", "5")


@dataclass(frozen=True)
class Snapshot:
    """One question in a model as it is now.

    Attributes:
        embeddings: (T, D) the vectors of its tokens.
        attention: (layers, H, T) the weights with which the first token looks at each.
        probabilities: (10,) of each digit.
        loss: in nats.
        gradients: the norm of the loss's gradient in each part of the model.
    """

    embeddings: Array
    attention: Array
    probabilities: Array
    loss: float
    gradients: dict[str, float]


def take_snapshot(model: Encoder, example: Examples) -> Snapshot:
    """Measure one example (N = 1). The model is not changed."""
    logits, cache = model.forward(example.ids, example.mask)
    loss, grads = loss_and_gradients(model, example)
    return Snapshot(
        model.params["embedding"][example.ids[0]].copy(),
        np.array([maps[0, :, 0] for maps in model.attention_maps(cache)]),
        softmax(logits[0]),
        loss,
        gradient_norms(grads),
    )


def gradient_norms(grads: Params) -> dict[str, float]:
    """The joint norm of the gradients in each part of an encoder, layer by layer."""
    squares: dict[str, float] = {}
    for name, gradient in grads.items():
        words = name.split(".")
        part = next(p for p, members in _PARTS.items() if {words[0], words[-1]} & set(members))
        if words[0] == "layers":
            part = f"layer {int(words[1]) + 1} {part}"
        squares[part] = squares.get(part, 0.0) + float((gradient.astype(np.float64) ** 2).sum())
    return {part: square**0.5 for part, square in squares.items()}


def begin(
    training: ResumableTraining[Encoder], question: str, recipe: DigitRecipe
) -> Callable[[OptimizerStep], None]:
    """Show a question in the model as it is, and give what shows it again as the model learns.

    Args:
        training: that is about to run.
        question: such as ``"Max ( 5 3 9 )"``.
        recipe: of the training.

    Raises:
        UserError: the model can't read the question.
    """
    ids = np.array([token_ids(read_question(question), recipe.arguments)])
    digits = tuple(int(VOCABULARY[i]) for i in ids[0, 2:-2])
    operation = ids[0, :1] - TOKEN_IDS["First"]
    right = answer(VOCABULARY[ids[0, 0]], digits)
    example = Examples(ids, np.ones(ids.shape, bool), np.array([right]), operation)
    trained_on = make_splits(np.random.default_rng(recipe.seed), recipe.arguments).train.ids
    known = bool((trained_on == ids).all(axis=1).any())
    show = StepByStep(training, example, waits=sys.stdin.isatty() and sys.stdout.isatty())
    show.introduce(known)
    return show


@dataclass
class StepByStep:
    """Called after each step; it prints after the steps that are shown.

    Attributes:
        training: the one that runs.
        example: the question, N = 1.
        waits: for Enter after each of them.
        over: the reader wants to see no more.
    """

    training: ResumableTraining[Encoder]
    example: Examples
    waits: bool
    over: bool = False
    _last: Snapshot | None = field(default=None, repr=False)
    _before: float | None = field(default=None, repr=False)

    def __call__(self, step: OptimizerStep) -> None:
        if self.over:
            return
        if is_shown(step.step):
            self._show(step.step)
        # What the next update does to this question can only be seen from before it.
        if is_shown(step.step + 1):
            self._before = take_snapshot(self.training.model, self.example).loss

    def introduce(self, known: bool) -> None:
        """Say what is shown, and show the model before its next step."""
        text = " ".join(VOCABULARY[i] for i in self.example.ids[0, :-1])
        part = (
            "It is one of the questions that are trained on."
            if known
            else "It is held out: the model is never trained on it, and learns it from others."
        )
        console.print(Text(f"\nStep by step: {text}, right answer {self._right}. {part}"))
        console.print(
            "  embeddings     each token is a vector of 64 numbers; its first 32 are drawn,\n"
            "                 low is negative, high is positive\n"
            "  attention      how the first token, where the answer is read, looks at each token\n"
            "  probabilities  what the model answers; the loss is -log of the right one's\n"
            "  gradients      how strongly this question pulls at each part of the model\n"
            "The training itself goes on in batches of other questions.",
            markup=False,
        )
        made = self.training.optimizer.step_count
        self._show(made)
        self._before = (
            take_snapshot(self.training.model, self.example).loss if is_shown(made + 1) else None
        )

    @property
    def _right(self) -> int:
        return int(self.example.answers[0])

    def _show(self, step: int) -> None:
        now = take_snapshot(self.training.model, self.example)
        console.print()
        console.rule(Text(f"after step {step:,}"), align="left", characters="─")
        for line in self._lines(now):
            console.print(Text(line), no_wrap=True, overflow="crop")
        self._last, self._before = now, None
        if self.waits:
            self._wait()

    def _lines(self, now: Snapshot) -> list[str]:
        names = ["[EOS]" if i == EOS else VOCABULARY[i] for i in self.example.ids[0]]
        lines = ["embeddings" + ("" if self._last is None else 28 * " " + "moved since last shown")]
        limit = float(np.abs(now.embeddings).max())
        for i, name in enumerate(names):
            moved = ""
            if self._last is not None:
                distance = np.linalg.norm(now.embeddings[i] - self._last.embeddings[i])
                moved = f"  {distance:.3f}"
            lines.append(f"  {name:7}{bars.heat(now.embeddings[i, :_SHOWN], limit)}{moved}")
        lines += ["", "attention of the first token" + "".join(f"{n:>7}" for n in names)]
        for layer, head in np.ndindex(*now.attention.shape[:2]):
            weights = now.attention[layer, head]
            most = weights.argmax()
            cells = (f"{w:.2f}{'*' if i == most else ' '}" for i, w in enumerate(weights))
            label = f"  layer {layer + 1} head {head + 1}"
            lines.append(f"{label:28}" + "".join(f"{cell:>7}" for cell in cells))
        lines += ["", "probabilities"]
        for digit, share in enumerate(now.probabilities):
            mark = "  the right answer" if digit == self._right else ""
            lines.append(f"  {digit}{share:8.1%}  {bars.bar(share)}{mark}".rstrip())
        share = now.probabilities[self._right]
        lines += ["", f"loss of this question  -log {share:.4f} = {now.loss:.4f} nats"]
        if self._before is not None:
            way = "lowered" if now.loss < self._before else "raised"
            lines.append(f"  the last update {way} it from {self._before:.4f} to {now.loss:.4f}")
        lines += ["", "gradients (norm), from the answer back to the embedding"]
        most_pulled = max(now.gradients.values()) or 1.0
        for part, norm in now.gradients.items():
            lines.append(f"  {part:22}{norm:10.4f}  {bars.bar(norm / most_pulled)}".rstrip())
        return lines

    def _wait(self) -> None:
        with self.training.waiting():
            try:
                reply = console.input("\nEnter: go on. q: show no more, and train to the end. ")
            except EOFError:
                reply = "q"
        if reply.strip().lower().startswith("q"):
            self.over = True
            console.print("Training on …")
