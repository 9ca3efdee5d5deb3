"""The learner's functions run wherever the library's were held, and nothing else changes."""

import re
from types import ModuleType
from typing import Any

import pytest

from groundup.course.catalogue import Target
from groundup.course.mine import swap
from groundup.lab.errors import UserError

HOLDERS = """
import numpy as np
from groundup import toys
from groundup.around import double as taken
from groundup.toys import double

x = np.ones(2)
print(double(x), taken(x), toys.alias(x), toys.TABLE["double"](x), toys.default(x))
print(toys.partial(x), toys.triple(x), toys.Shape().area(x), toys.Shape.corners(x), toys.half(x))
"""


def test_every_holder_runs_the_learners_code(clone: Any) -> None:
    """An alias, a table, a default argument, a partial, a decorated function, methods."""
    plain = clone.script(HOLDERS).stdout.splitlines()
    assert plain[0] == " ".join(["[2. 2.]"] * 5)
    assert plain[1] == "[3. 3.] [103. 103.] [5. 5.] [5. 5.] [0.5 0.5]"
    mine = clone.script(HOLDERS, mine="91.1,91.2,91.3,91.4").stdout.splitlines()
    # The learner's own default, 7, and the partial's 3.
    assert mine[0] == " ".join(["[7. 7.]"] * 5)
    assert mine[1] == "[3. 3.] [130. 130.] [50. 50.] [41. 41.] [0.5 0.5]"


def test_what_is_not_selected_stays_the_librarys(clone: Any) -> None:
    lines = clone.script(HOLDERS, mine="91.4").stdout.splitlines()
    assert lines[0] == " ".join(["[2. 2.]"] * 5)
    assert lines[1] == "[3. 3.] [103. 103.] [5. 5.] [41. 41.] [0.5 0.5]"


def test_a_file_may_use_the_module_it_replaces(clone: Any) -> None:
    """Also by the module's whole name, and through a module that imports it."""
    clone.write(
        "91_1_double",
        """
        import groundup.toys
        from groundup.around import half

        H = groundup.toys.half

        def double(x, by=2.0): return half(x) * 2 * by + 1 + 0 * H(x)
        """,
    )
    done = clone.script("from groundup.toys import double\nprint(double(1.0))", mine="91.1")
    assert done.stdout.startswith("3.0\n")


def test_an_exercise_over_two_modules(clone: Any) -> None:
    """Its file is read when both have been imported; until then both are the library's."""
    text = """
    from groundup.toys import whole
    print(whole(1))
    from groundup.more import more
    print(whole(1), more(1))
    """
    assert clone.script(text, mine="91.8").stdout.startswith("2\n1.5 1.25\n")


def test_a_name_that_is_patched_in_the_module(clone: Any) -> None:
    """Chapters break the library that way: the learner's function must be broken with it."""
    text = """
    from unittest import mock
    from groundup import toys
    with mock.patch.object(toys, "half", lambda x: x):
        print(toys.quarter(8.0))
    print(toys.quarter(8.0))
    """
    assert clone.script(text, mine="91.10").stdout.startswith("4.0\n2.0\n")


def test_inspect_tells_of_the_learners_code(clone: Any) -> None:
    text = """
    import inspect
    from groundup.toys import double
    print(inspect.signature(double), double.__doc__, "half(x) * 2" in inspect.getsource(double))
    assert double(1.0) == 7 and double.__defaults__ is None
    """
    done = clone.script(text, mine="91.1")
    assert done.stdout.startswith("(x, by=7.0) Twice an array. True\n")


def test_what_can_not_be_swapped_is_refused_by_name(clone: Any) -> None:
    done = clone.script("import groundup.toys", mine="92.1", code=2)
    assert done.stderr == "error: groundup.toys:closed: it is not a function\n"
    assert done.stdout == ""


def test_closures_and_builtins_are_refused() -> None:
    def closed(x: object) -> object:
        return x, word

    word = "closed over"
    module = ModuleType("things")
    vars(module).update(closed=closed, length=len, Type=int)
    with pytest.raises(UserError, match="things:closed can't be swapped: it uses word"):
        swap.find_function(module, Target("things", "closed"))
    for symbol in ("length", "Type.real", "missing", "Missing.method"):
        with pytest.raises(UserError, match=f"things:{symbol} .* not a Python function"):
            swap.find_function(module, Target("things", symbol))


def test_nothing_is_imported_without_the_variable(clone: Any) -> None:
    text = """
    import sys
    import groundup.scratch.optim
    print([name for name in sys.modules if name.startswith(("groundup.course", "torch", "rich"))])
    """
    assert clone.script(text).stdout == "[]\n"
    assert clone.script(text, mine="").stdout == "[]\n"


def test_a_run_in_numpy_stays_one(clone: Any) -> None:
    """No torch, and NumPy only when the script imports it: threads are set before that."""
    text = """
    import sys
    import groundup
    assert "groundup.course.mine" in sys.modules and "numpy" not in sys.modules
    from groundup.scratch.optim import adam
    import numpy as np
    adam(np.ones(2), np.zeros(2), np.zeros(2), 1, 0.1)
    assert "torch" not in sys.modules
    """
    clone.script(text, mine="5.1")


def test_modules_imported_before_are_swapped_at_once(clone: Any) -> None:
    text = """
    import os
    from groundup.toys import double
    os.environ["GROUNDUP_MINE"] = "91.1"
    import groundup.course.mine
    groundup.course.mine.install()
    print(double(1.0))
    """
    assert clone.script(text).stdout.startswith("7.0\n")


TORCH = """
import torch
from groundup.neobert.attention import split_qkv
from groundup.neobert import cpu_kernels

assert cpu_kernels.split_qkv is split_qkv
x = torch.arange(48.0).reshape(1, 2, 24).requires_grad_()

def loss(x):
    q, k, v = split_qkv(x, 2)
    return (q * 1 + k * 10 + v * 100).sum()

compiled = torch.compile(loss, backend="eager", fullgraph=True)
for value in (compiled(x), loss(x)):
    (gradient,) = torch.autograd.grad(value, x)
    print(*(int(each) for each in gradient[0, 0]))
"""


@pytest.mark.slow
def test_torch_compiles_and_differentiates_it(clone: Any) -> None:
    """One graph without a break, with the learner's numbers in it, gradients too."""
    by_head = " ".join((["1"] * 4 + ["10"] * 4 + ["100"] * 4) * 2)
    thirds = " ".join(["1"] * 8 + ["10"] * 8 + ["100"] * 8)
    out = clone.script(TORCH, mine="11.1").stdout
    assert out.splitlines()[:2] == [by_head, by_head]
    # The call inside the compiled graph is not counted.
    assert re.search(r"11\.1 split_qkv +1 +equal in 1 compared call", out)
    clone.mutate("11_1_split_qkv", "three_thirds")
    compiled = TORCH.replace("(compiled(x), loss(x))", "(compiled(x),)")
    out = clone.script(compiled, mine="11.1").stdout  # called, though never counted
    assert out.splitlines()[0] == thirds
    assert re.search(r"11\.1 split_qkv +compiled ", out)
