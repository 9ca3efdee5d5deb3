"""The ladder's page shows the very cells that the tests hold to their limits."""

import pytest
from ladder_page import ladder_page, scientific

from groundup.parity.ladder import FORMS, ladder


def test_every_cell_is_on_the_page():
    page = ladder_page()
    rows = {line.split("|")[1].strip(" *"): line for line in page.splitlines() if "**" in line}
    header = next(line for line in page.splitlines() if line.startswith("| |"))
    columns = [name.strip() for name in header.split("|")[2:-1]]
    assert columns == [form.name for form in FORMS[:-1]]
    for cell in ladder():
        row, column = cell.forms
        shown = rows[row].split("|")[2:-1][columns.index(column)].strip()
        assert shown == scientific(cell.error)
    assert "10⁻⁵ where one is in float32, 5·10⁻² in bfloat16" in page


@pytest.mark.parametrize(
    ("number", "text"), [(9.4e-16, "9·10⁻¹⁶"), (1e-10, "10⁻¹⁰"), (0.96e-2, "10⁻²"), (37.0, "4·10¹")]
)
def test_scientific(number: float, text: str):
    assert scientific(number) == text
