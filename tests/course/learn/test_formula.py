"""Formulas as text: nothing is lost, and what belongs together stays in parentheses."""

import ast
import re

import pytest

from groundup.course import clone
from groundup.course.catalogue import Exercise, catalogue
from groundup.course.learn.formula import in_code, in_markdown, in_text, to_text


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\beta_1^n", "β₁ⁿ"),
        (r"e^{z_k - c}", "e^(zₖ − c)"),
        (r"e^{-1}", "e⁻¹"),
        (r"e^{1.2}", "e^1.2"),
        (r"W_\text{head}", "W_head"),
        (r"q_B", "q_B"),
        (r"\frac1b x", "(1/b) x"),
        (r"\frac{a + b}{2c}", "(a + b)/(2c)"),
        (r"\frac{\partial L}{\partial z_j} = p_j", "∂L/∂zⱼ = pⱼ"),
        (r"-\log \frac{a}{b}", "−log(a/b)"),
        (r"\tfrac12\big(a + b\big)", "(1/2)(a + b)"),
        (r"x - \overline{g\hat x}", "x − g\u0305x\u0302\u0305"),
        (r"-lr\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}", "−lr m̂/(√v̂ + ε)"),
        (r"\sqrt{1-\beta_2^t}", "√(1−β₂ᵗ)"),
        (r"(1-\beta)\sum_{a=0}^{n-1}\beta^a", "(1−β)∑ₐ₌₀ⁿ⁻¹ βᵃ"),
        (r"\log \sum_k e^{z_k}", "log ∑ₖ e^(zₖ)"),
        (r"\ell = \lVert q\rVert = \sqrt{q\cdot q}", "ℓ = ‖q‖ = √(q · q)"),
        (
            r"y = \mathrm{softmax}\left(\frac{q k^\top}{\sqrt K}\right) v",
            "y = softmax((q kᵀ)/√K) v",
        ),
        (r"\boxed{\;x = 1\;}", "x = 1"),
        (r"\underbrace{2LD}_{\text{weights}} + b", "(2LD) [weights] + b"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a = b\nc = d"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "[1, 2; 3, 4]"),
        (r"1{,}000", "1,000"),
        (r"\unheard{x}", r"\unheardx"),
        (r"\frac{a", r"a/()"),
    ],
)
def test_formula(tex: str, text: str) -> None:
    assert to_text(tex) == text


def test_text_around_formulas_and_code_stay() -> None:
    markdown = "Costs $5 here, `$x$` there, $x^2$ now:\n\n$$\\frac{a_i}{b}$$\n\n```\n$y$\n```\n"
    assert in_text("`$x$` and $x^2$:\n\n$$\\frac{a_i}{b}$$\n") == "`$x$` and x²:\n\n    aᵢ/b\n"
    assert "```\n$y$\n```" in in_text(markdown)
    assert in_markdown("$a*b_B*c$ and\n\n$$x$$") == "a∗b\\_B∗c and\n\n> x"


def test_docstrings_are_read_too() -> None:
    code = "    .. math:: \\frac{a}\n        {b}\n\n    By :math:`\\beta^2`.\n"
    assert in_code(code) == "        a/b\n\n    By β².\n"


@pytest.mark.parametrize("exercise", catalogue(clone.root()), ids=lambda each: each.id)
def test_no_explanation_holds_tex_that_is_not_known(exercise: Exercise) -> None:
    if exercise.explanation.is_file():
        prose = re.sub(r"```.*?```|`[^`]*`", "", exercise.explanation.read_text(), flags=re.DOTALL)
        assert "\\" not in in_text(prose)
    functions = ast.walk(ast.parse(exercise.solution.read_text()))
    docstrings = [ast.get_docstring(f) or "" for f in functions if isinstance(f, ast.FunctionDef)]
    assert "\\" not in in_code("\n".join(docstrings))
