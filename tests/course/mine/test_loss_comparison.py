"""Two loss curves in words."""

from groundup.course.mine.loss_comparison import loss_rows
from groundup.course.mine.losses import LossCurve

FALLING = [3.0, 2.0, 1.0, 0.5]


def curve(*losses: float, timed: bool = False) -> LossCurve:
    return LossCurve(0.0, timed, [n + 1 for n in range(len(losses))], list(losses))


def says(mine: LossCurve, library: LossCurve) -> str:
    ((*_, text),) = loss_rows([mine], [library])
    return text


def test_what_is_said_of_two_curves() -> None:
    library = curve(*FALLING)
    assert says(library, library) == "equal at every step"
    assert says(curve(3.0, 2.0, 1.0, 0.504), library) == "at most 4.0e-03 apart"
    assert says(curve(3.0, 2.0, 1.02, 0.5), library) == "part at step 3: 1.02 and 1"
    nan = float("nan")
    assert says(curve(3.0, nan, nan, nan), library) == "part at step 2: nan and 2"
    assert says(curve(nan), curve(nan)) == "equal at every step"
    assert says(curve(9.0, 8.0, timed=True), library) == "timed: 4 steps there"
    assert says(curve(3.0, 2.0), library) == "4 steps there"


def test_a_row_holds_steps_and_ends() -> None:
    same = curve(*FALLING)
    assert loss_rows([same], [same]) == [("4", "3 to 0.5", "3 to 0.5", "equal at every step")]
    assert loss_rows([same], []) == [("4", "3 to 0.5", "", "")]
