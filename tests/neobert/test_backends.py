"""Which backend is chosen, and what the fused kernels are given; the kernels are loops here."""

import importlib.util
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import modeling_utils
from transformers.dynamic_module_utils import get_imports, get_relative_import_files
from transformers.utils import logging

from groundup.neobert import classification, dispatch
from groundup.neobert.attention import attention, split_qkv
from groundup.neobert.batch_layout import pack
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.dispatch import BACKENDS, choose_backend
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 64,
    "max_length": 32,
}


def kernel(q, k, v, starts_q, starts_k, max_q, max_k, before, behind, causal) -> Tensor:
    """What the documentation of a variable-length kernel says: (T, H, K), one query at a time.

    Every sequence's last query stands at its last key.
    """
    for starts, longest in ((starts_q, max_q), (starts_k, max_k)):
        assert starts.dtype == torch.int32
        assert type(longest) is int
        assert longest >= starts.diff().max()
    assert starts_q[-1] == len(q)
    assert starts_k[-1] == len(k)
    assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
    group = q.shape[1] // k.shape[1]
    rows = []
    for s in range(len(starts_q) - 1):
        queries = range(int(starts_q[s]), int(starts_q[s + 1]))
        keys = range(int(starts_k[s]), int(starts_k[s + 1]))
        for i in queries:
            at = keys.stop - (queries.stop - i)
            seen = [
                j
                for j in keys
                if (before < 0 or at - j <= before)
                and (behind < 0 or j - at <= behind)
                and not (causal and j > at)
            ]
            for h in range(q.shape[1]):
                scores = k[seen, h // group] @ q[i, h] / q.shape[-1] ** 0.5
                rows.append(scores.softmax(0) @ v[seen, h // group])
    return torch.stack(rows).view(q.shape)


def varlen_attn(
    query,
    key,
    value,
    cu_seq_q,
    cu_seq_k,
    max_q,
    max_k,
    *,
    return_aux=None,
    scale=None,
    window_size=(-1, -1),
    enable_gqa=False,
    seqused_k=None,
    block_table=None,
    num_splits=None,
):
    assert enable_gqa == (query.shape[1] != key.shape[1])
    before, behind = window_size
    lengths = (cu_seq_q, cu_seq_k, max_q, max_k)
    return kernel(query, key, value, *lengths, before, behind, causal=False)


def flash_attn_varlen_func(
    q,
    k,
    v,
    cu_seqlens_q,
    cu_seqlens_k,
    max_seqlen_q,
    max_seqlen_k,
    dropout_p=0.0,
    softmax_scale=None,
    causal=False,
    window_size=(-1, -1),
    softcap=0.0,
):
    lengths = (cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k)
    return kernel(q, k, v, *lengths, *window_size, causal)


@pytest.fixture
def flash_attn(monkeypatch):
    fake = types.ModuleType("flash_attn")
    fake.__spec__ = ModuleSpec("flash_attn", None)
    fake.flash_attn_varlen_func = flash_attn_varlen_func
    monkeypatch.setitem(sys.modules, "flash_attn", fake)


@pytest.fixture
def varlen(monkeypatch):
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen_attn)


@pytest.fixture(autouse=True)
def forget():
    """What was chosen before."""
    dispatch._choose.cache_clear()
    yield
    dispatch._choose.cache_clear()


def compare(name, q, k, v, packed, window, causal):
    """An adapter against the written formula, forward and backward, in float64."""
    for each in (q, k, v):
        each.requires_grad_()
    mixed = BACKENDS[name](q, k, v, packed, window, causal).flatten(2)
    expected = attention(q, k, v, packed, window=window, causal=causal, backend="eager")
    torch.testing.assert_close(mixed, expected, rtol=1e-12, atol=1e-12)
    dy = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(y, (q, k, v), dy) for y in (mixed, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.usefixtures("varlen", "flash_attn")
@pytest.mark.parametrize("name", ["varlen", "flash_attention_2"])
@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3).filter(any),
    groups=st.integers(1, 2),
    share=st.integers(1, 2),
    window=st.none() | st.integers(0, 3),
    causal=st.booleans(),
)
def test_packs_through_the_adapters(name, lengths, groups, share, window, causal):
    q, k, v = (
        draw(i, 1, n, sum(lengths), 2) for i, n in enumerate((groups * share, groups, groups))
    )
    compare(name, q, k, v, pack(lengths), window, causal)


@pytest.mark.usefixtures("varlen", "flash_attn")
@pytest.mark.parametrize("name", ["varlen", "flash_attention_2"])
@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 4),
    earlier=st.integers(0, 2),
    share=st.integers(1, 2),
    window=st.none() | st.integers(0, 3),
    causal=st.booleans(),
)
def test_equal_lengths_through_the_adapters(name, batch, length, earlier, share, window, causal):
    q = draw(0, batch, 2 * share, length, 2)
    k, v = draw(1, 2, batch, 2, earlier + length, 2)
    compare(name, q, k, v, None, window, causal)


@pytest.mark.usefixtures("varlen", "flash_attn")
@pytest.mark.parametrize("name", ["varlen", "flash_attention_2"])
def test_the_kernels_get_views_of_the_projection(name):
    """Views with the last axis in order; nothing has to be copied for them."""
    qkv = draw(0, 1, 5, 3 * 2 * 4)
    compare(name, *split_qkv(qkv, 2), pack([3, 2]), None, False)


# The choice.


GPU = ("cuda", torch.bfloat16, True)


def without(monkeypatch, *names):
    whole = dispatch.import_error
    monkeypatch.setattr(
        dispatch, "import_error", lambda name: ImportError(name) if name in names else whole(name)
    )


@pytest.mark.usefixtures("flash_attn")
@pytest.mark.parametrize(
    ("missing", "chosen"),
    [
        ([], "varlen"),
        (["varlen"], "flash_attention_2"),
        (["varlen", "flash_attention_2"], "flex_attention"),
        (["varlen", "flash_attention_2", "flex_attention"], "sdpa"),
    ],
)
def test_the_order_for_packs_on_a_gpu(monkeypatch, missing, chosen):
    without(monkeypatch, *missing)
    assert choose_backend("auto", *GPU) == chosen
    assert choose_backend("auto", "cuda", torch.float16, True) == chosen


@pytest.mark.parametrize(
    "kind",
    [
        ("cpu", torch.float32, True),
        ("cpu", torch.bfloat16, True),
        ("cuda", torch.float32, True),
        ("cuda", torch.bfloat16, False),
        ("mps", torch.float16, True),
    ],
)
def test_everything_else_is_sdpa(kind):
    assert choose_backend("auto", *kind) == "sdpa"


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.usefixtures("flash_attn")
def test_what_is_asked_for_by_name_runs(name):
    assert choose_backend(name, *GPU) == name


@pytest.mark.parametrize("name", ["varlen", "flash_attention_2"])
@pytest.mark.parametrize("kind", [("cpu", torch.bfloat16), ("cuda", torch.float32)])
@pytest.mark.usefixtures("flash_attn")
def test_what_cannot_run_is_refused(name, kind):
    device, dtype = kind
    with pytest.raises(ValueError, match=f"{name} needs a GPU and .*: got {dtype} on {device}"):
        choose_backend(name, device, dtype, True)


def test_a_backend_that_is_not_there_is_named():
    q = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match=r"must be auto, eager, .*: got 'fast'"):
        attention(q, q, q, backend="fast")


@pytest.mark.skipif(
    importlib.util.find_spec("flash_attn") is not None, reason="flash-attn is installed"
)
def test_a_backend_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flash_attn", None)  # as if it were not there
    with pytest.raises(ImportError, match=r"--no-build-isolation .* flash-attn"):
        choose_backend("flash_attention_2", *GPU)


def test_a_torch_before_windows_has_no_varlen(monkeypatch):
    def of_2_10(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, scale=None):
        raise AssertionError

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", of_2_10)
    with pytest.raises(ImportError, match=r"varlen needs torch 2\.12"):
        choose_backend("varlen", *GPU)
    without(monkeypatch, "flash_attention_2")
    assert choose_backend("auto", *GPU) == "flex_attention"


def test_the_choice_is_said_once_for_each_kind(monkeypatch):
    said = []
    logger = logging.get_logger(dispatch.__name__)
    monkeypatch.setattr(logger, "info", said.append)
    q = torch.zeros(1, 1, 3, 2)
    for _ in range(3):
        attention(q, q, q)
        attention(q, q, q, pack([1, 2]))
    assert said == [
        "attention on cpu, torch.float32, padded: sdpa",
        "attention on cpu, torch.float32, packed: sdpa",
    ]


# transformers' ways to ask for one.


def used(net, monkeypatch) -> set[str]:
    """The backends a pass goes through."""
    seen = set()
    for name, backend in list(BACKENDS.items()):
        monkeypatch.setitem(
            BACKENDS, name, lambda *a, name=name, backend=backend: seen.add(name) or backend(*a)
        )
    with torch.no_grad():
        net(torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 1, 1], [1, 1, 0]]))
    return seen


@pytest.mark.parametrize("cls", [NeoBERTModel, NeoBERTForMaskedLM])
@pytest.mark.parametrize(
    ("asked", "runs"), [(None, "sdpa"), ("auto", "sdpa"), ("eager", "eager"), ("sdpa", "sdpa")]
)
def test_attn_implementation(cls, asked, runs, monkeypatch, tmp_path):
    net = cls._from_config(NeoBERTConfig(**SHAPE), attn_implementation=asked)
    net.save_pretrained(tmp_path)
    with monkeypatch.context() as patch:
        assert used(net, patch) == {runs}
    loaded = cls.from_pretrained(tmp_path, attn_implementation=asked)
    with monkeypatch.context() as patch:
        assert used(loaded, patch) == {runs}
    named = cls(NeoBERTConfig(**SHAPE, attn_implementation=asked))
    with monkeypatch.context() as patch:
        assert used(named, patch) == {runs}


def test_it_can_be_changed_later(monkeypatch):
    net = NeoBERTForMaskedLM(NeoBERTConfig(**SHAPE))
    assert net.config._attn_implementation == "auto"
    for name, runs in (
        ("eager", "eager"),
        ("flex_attention", "flex_attention"),
        ("auto", "sdpa"),
        ("sdpa", "sdpa"),
    ):
        net.set_attn_implementation(name)
        with monkeypatch.context() as patch:
            assert used(net, patch) == {runs}


def test_names_that_are_none_are_refused():
    config = NeoBERTConfig(**SHAPE)
    with pytest.raises(ValueError, match=r"attn_implementation must be auto, eager.*'fast'"):
        NeoBERTModel._from_config(config, attn_implementation="fast")
    net = NeoBERTModel(NeoBERTConfig(**SHAPE))
    with pytest.raises(ValueError, match=r"attn_implementation must be auto, eager.*'fast'"):
        net.set_attn_implementation("fast")
    assert net.config._attn_implementation == "auto"


def test_what_is_not_installed_is_refused_before_a_model_is_made(monkeypatch):
    # As where neither flash-attn nor kernels, which transformers tries in its place, is installed.
    monkeypatch.setattr(dispatch, "find_spec", lambda _: None)
    monkeypatch.setattr(modeling_utils, "is_kernels_available", lambda: False)
    with pytest.raises(ImportError, match=r"--no-build-isolation .* flash-attn"):
        NeoBERTModel._from_config(NeoBERTConfig(**SHAPE), attn_implementation="flash_attention_2")


@pytest.mark.parametrize("asked", ["eager", "flex_attention", "varlen"])
def test_a_saved_model_does_not_ask_for_the_backend_it_ran_with(asked, tmp_path):
    """The next process may not have it."""
    net = NeoBERTModel(NeoBERTConfig(**SHAPE, attn_implementation=asked))
    net.save_pretrained(tmp_path)
    assert asked not in (tmp_path / "config.json").read_text()
    assert NeoBERTModel.from_pretrained(tmp_path).config._attn_implementation == "auto"


def test_the_code_asks_for_no_package_that_may_be_missing():
    """A hub's code is refused where one file of it imports what is not installed, used or not."""
    main = classification.__file__
    copied = {Path(file) for file in (main, *get_relative_import_files(main))}
    assert {"backends.py", "batch_layout.py", "modeling.py"} < {file.name for file in copied}
    for file in copied:
        assert set(get_imports(file)) <= {*sys.stdlib_module_names, "torch", "transformers"}, file
    assert any("flash_attn_varlen_func" in file.read_text() for file in copied)  # used all the same


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["auto", "eager", "flex_attention"])
@torch.no_grad()
def test_packs_compile_in_one_graph(asked):
    net = NeoBERTForMaskedLM(NeoBERTConfig(**SHAPE, attn_implementation=asked)).eval()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    ids = torch.arange(9)[None]
    for ends in ([0, 4, 9], [0, 5, 9], [0, 7, 9]):  # the lengths are no part of the graph
        inputs = {"input_ids": ids, "cu_seqlens": torch.tensor(ends), "max_seqlen": 7}
        torch.testing.assert_close(compiled(**inputs).logits, net(**inputs).logits)


@pytest.mark.slow
def test_packs_train_in_one_graph():
    net = NeoBERTForMaskedLM(NeoBERTConfig(**SHAPE)).train()
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    ids, weights = torch.arange(9)[None], list(net.parameters())
    for ends in ([0, 4, 9], [0, 5, 9]):
        inputs = {"cu_seqlens": torch.tensor(ends), "max_seqlen": 7, "labels": ids}
        losses = [each(ids, **inputs).loss for each in (compiled, net)]
        torch.testing.assert_close(*losses)
        torch.testing.assert_close(*(torch.autograd.grad(each, weights) for each in losses))
