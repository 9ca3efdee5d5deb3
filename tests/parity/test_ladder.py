"""Every two forms of a NeoBERT layer agree, as far as their precision allows."""

from itertools import combinations

import numpy as np
import pytest
import torch

from groundup.neobert import block, flash
from groundup.parity.ladder import FORMS, compare_forms

PAIRS = [(other.name, form.name) for other, form in combinations(FORMS, 2)]


@pytest.fixture(scope="module")
def cells():
    return {cell.forms: cell for cell in compare_forms()}


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_forms_agree(cells, pair):
    cell = cells[pair[::-1]]
    assert cell.error <= cell.limit, cell


def test_the_matrix_is_whole(cells):
    assert len(cells) == len(PAIRS) == len(FORMS) * (len(FORMS) - 1) // 2
    exact = [cell for cell in cells.values() if cell.limit == 1e-10]
    assert len(exact) == 10
    assert all(0 < cell.error < 1e-13 for cell in exact)  # no form is another under a second name


def test_less_precise_forms_are_less_precise(cells):
    names = [form.name for form in FORMS]
    single, half = (cells[name, names[0]].error for name in names[-2:])
    assert 2**-26 < single < 2**-18
    assert 2**-10 < half < 2**-4


def test_another_seed_is_another_layer():
    first, second = compare_forms(0), compare_forms(1)
    assert [cell.error for cell in first] != [cell.error for cell in second]
    assert all(cell.error <= cell.limit for cell in second)


def test_a_fault_in_one_form_is_seen_in_its_cells_alone(monkeypatch):
    right = flash._Flash.backward

    def unscaled(context, dy):
        dq, *others = right(context, dy)
        return 2 * dq, *others

    monkeypatch.setattr(flash._Flash, "backward", staticmethod(unscaled))
    for cell in compare_forms():
        assert (cell.error > cell.limit) == ("tiled" in cell.forms), cell


def test_documents_that_see_each_other_are_caught(monkeypatch):
    right = block.attention

    def seeing(q, k, v, packed=None, **more):
        return right(q, k, v, None, **more)

    monkeypatch.setattr(block, "attention", seeing)
    wrong = {cell.forms for cell in compare_forms() if cell.error > cell.limit}
    assert ("SDPA, packed", "SDPA, each text alone") in wrong
    assert ("SDPA, each text alone", "NumPy, gradients by hand") not in wrong


def test_a_case_has_padding_and_several_tiles():
    from groundup.parity.numpy_torch import draw_layer

    case = draw_layer(np.random.default_rng(0), length=100)
    assert not case.mask.all()
    assert case.mask.sum() > 2 * 64
    assert case.x.dtype == np.float64
    assert torch.get_default_dtype() == torch.float32
