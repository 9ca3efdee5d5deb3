"""What the report says: calls, differences, and the exit code of the run."""

import re
from typing import Any

# The forward pass 20 times, its backward pass after each but the first and twice after the last.
ENTROPY = """
import numpy as np
from groundup.scratch.loss import cross_entropy, cross_entropy_backward

rng = np.random.default_rng(0)
for n in range(20):
    logits = rng.standard_normal((6, 3)).astype(np.float32)
    loss, cache = cross_entropy(logits, np.arange(6) % 3)
    if n:
        cross_entropy_backward(cache)
cross_entropy_backward(cache)
"""


def test_calls_are_counted_and_compared(clone: Any) -> None:
    out = clone.script(clone.adam, mine="5.1").stdout
    # Of 100 calls: the first three, the 6th, the 12th, …, the 96th.
    assert re.search(r"5\.1 adam +100 +equal.* in 8 compared calls", out)
    assert "differ" not in out


def test_a_mistake_is_shown_where_it_is_first_seen(clone: Any) -> None:
    clone.mutate("5_1_adam", "correction_without_step")  # only step 1 is right
    out = clone.script(clone.adam, mine="5.1").stdout
    assert "differs in 7 of 8 compared calls" in out
    assert "5.1 adam. The first difference is in part 1 of 3, call 2." in out
    assert re.search(r"first difference at \[0\]: yours \S+, the library's \S+", out)
    assert "groundup check 5.1 says more" in out


def test_a_change_of_an_argument_is_shown(clone: Any) -> None:
    clone.mutate("5_1_adam", "changed_in_place")
    out = clone.script(clone.adam, mine="5.1").stdout
    assert "changes an argument" in out
    assert "the library's leaves alone: first, call 1" in out


def test_another_kind_of_result_is_shown(clone: Any) -> None:
    clone.mutate("5_1_adam", "change_alone")
    done = clone.script(clone.adam, mine="5.1", code=1)
    assert "yours is a NumPy array of float32, shape (4,), the library's a tuple of" in done.stdout
    assert "ValueError" in done.stderr  # the run's own end, not made up by the report


def test_an_error_of_the_learners_is_shown(clone: Any) -> None:
    clone.write("91_3_area", "def area(self, x): return self.factor / 0")
    done = clone.script("from groundup.toys import Shape\nShape().area(1)", mine="91.3", code=1)
    assert "yours raises ZeroDivisionError: division by zero, the library returns" in done.stdout
    assert "ex_91_3_area.py" in done.stderr


def test_a_pair_is_compared_with_caches_of_both_kinds(clone: Any) -> None:
    out = clone.script(ENTROPY, mine="5.2").stdout
    assert re.search(r"cross_entropy +20 .* equal\S* .*in 5 compared calls", out)
    # Those after the forward passes 2, 3, 6 and 12; the second on one cache is not compared.
    assert re.search(r"cross_entropy_backward +20 .* in 4 compared calls", out)
    clone.mutate("5_2_cross_entropy", "not_divided_by_rows")
    out = clone.script(ENTROPY, mine="5.2").stdout
    assert "5.2 cross_entropy_backward. The first difference is in the result, call 1." in out
    assert "5.2 cross_entropy. " not in out
    assert "[[" in out or "row [" in out


def test_a_cache_is_the_learners_own(clone: Any) -> None:
    """Whatever it holds, and though it be one object for all calls."""
    text = """
    import numpy as np
    from groundup.toys import pair, pair_backward

    for n in range(3):
        print(pair_backward(np.ones(1), pair(np.full(1, n))[1]))
    caches = [pair(np.full(1, n))[1] for n in range(8)]
    print(pair_backward(np.ones(1), caches[-1]))
    """
    numbers = "[0.]\n[2.]\n[4.]\n[14.]\n"
    out = clone.script(text, mine="91.5").stdout
    assert out.startswith(numbers)
    assert re.search(r"pair_backward +4 .* equal in 3 compared calls", out)
    clone.write(
        "91_5_pair",
        """
        CACHE = [None]

        def pair(x):
            CACHE[0] = x
            return x**2, CACHE

        def pair_backward(dy, cache): return dy * 2 * cache[0]
        """,
    )
    out = clone.script(text, mine="91.5").stdout
    assert out.startswith(numbers)
    assert re.search(r"pair_backward +4 .* equal in 3 compared calls", out)


def test_a_backward_pass_without_a_cache(clone: Any) -> None:
    text = """
    import numpy as np
    from groundup.toys import slope, slope_backward
    for n in range(6):
        slope_backward(np.ones(2), slope(np.ones(2)))
    """
    out = clone.script(text, mine="91.11").stdout
    assert len(re.findall(r"slope\w* +6 .* equal in 4 compared calls", out)) == 2


def test_a_function_that_calls_another_one(clone: Any) -> None:
    """Both are compared at once, each with the library's whole."""
    text = """
    import numpy as np
    from groundup import toys
    for n in range(12):
        toys.quarter(np.ones(3))
    """
    clone.write("91_7_half", "def half(x): return x[:1] / 2")
    clone.write(
        "91_10_quarter", "from groundup.toys import half\ndef quarter(x): return half(half(x))"
    )
    out = clone.script(text, mine="91.7,91.10").stdout
    assert re.search(r"half +24 +differs in 2 of 6 compared calls", out), out
    assert re.search(r"quarter +12 +differs in 5 of 5 compared calls", out), out


def test_comparing_changes_nothing(clone: Any) -> None:
    """The library's function draws its random numbers again, and gives them back."""
    text = """
    import numpy as np
    from groundup.toys import draws
    np.random.seed(0)
    for n in range(7):
        print(draws(np.zeros(2)))
    """
    plain = clone.script(text).stdout
    mine = clone.script(text, mine="91.6").stdout
    assert mine.startswith(plain)
    assert "equal in 4 compared calls" in mine


def test_a_function_of_the_callers_is_not_called_twice(clone: Any) -> None:
    """It may read what is changed in place, and the library's function would change a copy."""
    text = """
    import numpy as np
    from groundup.toys import apply
    x = np.zeros(1)
    assert apply(lambda: float(x[0]), x) == 1.0 and x[0] == 1.0
    """
    out = clone.script(text, mine="91.9").stdout
    assert "not compared: it is given a function, <lambda>" in out


def test_rounding_is_no_difference(clone: Any) -> None:
    """A loss near zero is a difference of large numbers: float32 gives few of its digits."""
    clone.write(
        "5_2_cross_entropy",
        """
        import numpy as np

        def cross_entropy(logits, targets):
            rows = np.arange(len(targets))
            largest = logits.max()
            total = np.log(np.exp(logits - largest).sum(axis=-1)) + largest
            return float(np.mean(total - logits[rows, targets])), (logits, targets)

        def cross_entropy_backward(cache):
            logits, targets = cache
            e = np.exp(logits - logits.max(axis=-1, keepdims=True))
            p = e / e.sum(axis=-1, keepdims=True)
            return (p - np.eye(p.shape[-1], dtype=p.dtype)[targets]) / len(targets)
        """,
    )
    text = """
    import numpy as np
    from groundup.scratch.loss import cross_entropy, cross_entropy_backward
    rng = np.random.default_rng(0)
    for n in range(200):
        targets = rng.integers(5, size=32)
        logits = rng.standard_normal((32, 5)) + 12 * np.eye(5)[targets] + 8
        loss, cache = cross_entropy(logits.astype(np.float32), targets)
        cross_entropy_backward(cache)
    assert loss < 1e-3
    """
    out = clone.script(text, mine="5.2").stdout
    assert "differ" not in out
    assert len(re.findall(r"equal.* in 9 compared calls", out)) == 2


def test_never_called_fails_the_run(clone: Any) -> None:
    done = clone.script(clone.adam, mine="5.1,5.2", code=1)
    assert done.stderr == (
        "error: never called in this run: 5.2 cross_entropy, 5.2 cross_entropy_backward\n"
    )
    assert re.search(r"5\.2 cross_entropy +0 +never called", done.stdout)
    assert "5.1 adam" in done.stdout


def test_of_all_only_one_needs_to_be_called(clone: Any) -> None:
    done = clone.script(clone.adam, mine="all")
    (unused,) = re.findall(r"Not used by this run: ([\d., ]*)\. ", " ".join(done.stdout.split()))
    assert {"5.2", "11.1", "91.1", "92.1"} <= set(unused.split(", "))
    assert "5.1" not in unused.split(", ")
    assert "Not written yet, so the library's: 91.7." in done.stdout
    done = clone.script("import groundup.scratch.optim", mine="all", code=1)
    assert done.stderr.startswith("error: no function of yours was called in this run")


def test_a_wrong_selection_ends_in_one_line(clone: Any) -> None:
    for mine, words in {
        "77": "no exercise or chapter is called '77'",
        "91.7": "91.7 is not written yet: half in exercises/ch91_toys/ex_91_7_half.py, line 1",
        ",": "--mine names no exercise",
    }.items():
        done = clone.script("print('never'); import groundup; print('run')", mine=mine, code=2)
        assert done.stdout == "never\n"
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert words in line


def test_a_file_that_can_not_be_used(clone: Any) -> None:
    """Asked for by its id, it ends the run; among all, it leaves the library's in place."""
    clone.write("91_1_double", "def double(x, by=2.0)\n    return x")
    clone.write("91_2_triple", "def triple(x, by): return x")
    text = "from groundup.toys import double, triple, Shape\nprint(double(1.0), Shape().area(1))"
    out = clone.script(text, mine="91").stdout
    assert out.startswith("2.0 50\n")
    assert "91.1 was left out, the library's used: not valid Python: " in out
    assert "triple must take (x): yours takes (x, by). Give by" in " ".join(out.split())
    done = clone.script(text, mine="91.1", code=2)
    assert "line 1: expected ':'" in done.stderr
    done = clone.script(text, mine="91.2", code=2)
    assert "triple must take (x): yours takes (x, by)." in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
