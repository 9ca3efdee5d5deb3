"""The ladder's page shows the very cells that the tests hold to their limits."""

from groundup.course.ladder_page import ladder_page
from groundup.neobert.ladder import FORMS, ladder


def test_every_cell_is_on_the_page():
    page = ladder_page()
    rows = {line.split("|")[1].strip(" *"): line for line in page.splitlines() if "**" in line}
    header = next(line for line in page.splitlines() if line.startswith("| |"))
    columns = [name.strip() for name in header.split("|")[2:-1]]
    assert columns == [form.name for form in FORMS[:-1]]
    for cell in ladder():
        row, column = cell.forms
        shown = rows[row].split("|")[2:-1][columns.index(column)].strip()
        assert float(shown) == float(f"{cell.error:.0e}")
    assert "1e-05 where one is in float32, 5e-02 in bfloat16" in page
