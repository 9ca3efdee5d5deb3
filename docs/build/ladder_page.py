"""The page with the whole ladder as one matrix, computed when the site is built."""

_INTRODUCTION = """# The ladder, each rung against each

A NeoBERT layer, seven times: as Part I derived it, in NumPy with every gradient by hand; in torch
by the formula as it is written; in tiles; through torch's fused kernel, each text alone and all
of them packed; and in numbers of less precision. All have the same random weights and the same
three texts of up to 100 tokens.

A cell holds the largest relative error (the norm of the difference over the norm of the values)
of two forms, over the output, the gradient of the input and the gradients of all weights. It was
computed when this page was made. The tests compute every cell too, and hold it to a limit: 10⁻¹⁰
where both are in float64, {single} where one is in float32, {half} in bfloat16.
"""

_WHY = """
float64 keeps 53 bits of a number, so a rounding is off by 10⁻¹⁶ at most, and a few of them add up
to what the first rows show. A wrong formula would show as 10⁻¹ or so: the gap is where a mistake
would have to hide. float32 keeps 24 bits (6·10⁻⁸), bfloat16 eight (4·10⁻³).

The digit encoder of Part I stands against its torch twin in chapter 8, all 29 tensors of it.
"""


def ladder_page() -> str:
    """The page as Markdown."""
    from groundup.parity.ladder import FORMS, ladder

    errors = {cell.forms: cell.error for cell in ladder()}
    names = [form.name for form in FORMS]
    lines = ["| | " + " | ".join(names[:-1]) + " |", "|:--|" + "--:|" * (len(names) - 1)]
    for i, name in enumerate(names[1:], 1):
        cells = [scientific(errors[name, other]) for other in names[:i]]
        cells += [""] * (len(names) - 1 - i)
        lines.append(f"| **{name}** | {' | '.join(cells)} |")
    single, half = map(scientific, sorted({form.limit for form in FORMS})[1:])
    return "\n".join([_INTRODUCTION.format(single=single, half=half), *lines, _WHY])


def scientific(number: float) -> str:
    """A number with one digit, as in 9·10⁻¹⁶; a 1 is left out in front of a power."""
    digit, power = f"{number:.0e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digit == "1" else f"{digit}·10{raised}"
