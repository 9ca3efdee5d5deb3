"""The cache by both of its names, with whichever of them transformers itself has."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import ModelOutput

from groundup.neobert.cache_names import CACHE_NAME, CACHE_NAMES
from groundup.neobert.decoder import NeoDecoderForCausalLM

V = 50
in_each_era = pytest.mark.usefixtures("era")
by_each_name = pytest.mark.parametrize("name", CACHE_NAMES)


@pytest.fixture(scope="module")
def model(model):
    return partial(model, NeoDecoderForCausalLM, num_attention_heads=6, num_key_value_heads=2)


def prompts() -> Tensor:
    return torch.randint(0, V, (2, 6), generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=["as installed", "old name gone"])
def era(request, monkeypatch):
    """transformers as it is; and as it is to be when nothing of its own takes the old name."""
    if request.param == "old name gone":
        if CACHE_NAME != "cache":
            pytest.skip("the installed transformers knows the old name alone")
        monkeypatch.delattr(ModelOutput, "past_key_values")
        for method in ("generate", "prepare_inputs_for_generation"):
            plain = inspect.unwrap(getattr(GenerationMixin, method))
            monkeypatch.setattr(GenerationMixin, method, torch.no_grad()(plain))


@in_each_era
@by_each_name
@pytest.mark.parametrize("part", [lambda net: net, lambda net: net.model], ids=["head", "decoder"])
def test_a_pass_takes_and_returns_it(model, name: str, part: Callable[[Any], Any]):
    net, ids = part(model()), prompts()
    full = net(ids)[0]
    begun = net(ids[:, :4], use_cache=True)
    cache = getattr(begun, name)
    assert all(getattr(begun, other) is cache for other in CACHE_NAMES)
    rest = net(ids[:, 4:], **{name: cache})
    assert getattr(rest, name) is cache
    assert cache.get_seq_length() == 6
    torch.testing.assert_close(torch.cat([begun[0], rest[0]], 1), full, rtol=0, atol=1e-12)


@in_each_era
def test_an_output_without_a_cache_has_none(model):
    made = model()(prompts())
    assert made.cache is None
    assert made.past_key_values is None
    assert set(made) == {"logits"}
    with pytest.raises(AttributeError, match="CausalLMOutput has no attribute 'cached'"):
        made.cached  # noqa: B018


@in_each_era
def test_it_stays_transformers_own_output(model):
    made = model()(prompts(), use_cache=True)
    assert isinstance(made, CausalLMOutputWithPast)
    assert set(made) == {"logits", CACHE_NAME}
    assert made[CACHE_NAME] is made.cache
    assert model()(prompts(), use_cache=True, return_dict=False)[1].get_seq_length() == 6


WAYS = {
    "greedy": {},
    "beams": {"num_beams": 3},
    "drawn": {"do_sample": True, "top_k": 5},
    "guided": {"guidance_scale": 1.5},
}


@in_each_era
@by_each_name
@pytest.mark.parametrize("way", WAYS)
def test_generate_writes_on_from_it(model, name: str, way: str):
    net, ids = model(), prompts()[:1]

    def write(**more: Any) -> Tensor:
        torch.manual_seed(0)
        written: Tensor = net.generate(ids, max_new_tokens=6, **WAYS[way], **more)
        return written

    expected = write(use_cache=False)
    cache = DynamicCache(config=net.config)
    rows = WAYS[way].get("num_beams", 1)
    net(ids[:, :5].expand(rows, -1), **{name: cache})
    written = write(**{name: cache})
    assert torch.equal(written, expected)
    assert cache.get_seq_length() >= 10  # generate filled the one that was given


@in_each_era
@by_each_name
def test_guesses_are_taken_back_out_of_it(model, name: str):
    net, ids = model(), prompts()[:1]
    cache = DynamicCache(config=net.config)
    guessed = net.generate(ids, max_new_tokens=9, prompt_lookup_num_tokens=3, **{name: cache})
    assert torch.equal(guessed, net.generate(ids, max_new_tokens=9))
    assert 14 <= cache.get_seq_length() <= 15


@in_each_era
@by_each_name
def test_what_generate_hands_to_a_pass_is_taken(model, name: str):
    net, ids = model(), prompts()
    cache = net(ids[:, :5], use_cache=True).cache
    inputs = net.prepare_inputs_for_generation(ids, next_sequence_length=1, **{name: cache})
    assert inputs[CACHE_NAME] is cache
    torch.testing.assert_close(net(**inputs).logits, net(ids).logits[:, -1:], rtol=0, atol=1e-12)


@in_each_era
def test_two_caches_are_refused(model):
    net, ids = model(), prompts()
    both = {name: DynamicCache(config=net.config) for name in CACHE_NAMES}
    for call in (net, net.model, net.generate, net.prepare_inputs_for_generation):
        with pytest.raises(ValueError, match="two names of one argument: got both"):
            call(ids, **both)


_REBUILT = """
import sys, torch
sys.modules["groundup"] = None  # importing it now raises
from transformers import AutoModelForCausalLM, DynamicCache
net = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
ids = torch.arange(1, 9).view(2, 4)
expected = net.generate(ids, max_new_tokens=5, num_beams=3, use_cache=False)
for name in ("cache", "past_key_values"):
    cache = DynamicCache(config=net.config)
    with torch.no_grad():
        begun = net(ids[:, :3], **{name: cache})
    assert getattr(begun, name) is cache
    assert torch.equal(net.generate(ids, max_new_tokens=5, **{name: cache})[:, :4], ids)
    cache = DynamicCache(config=net.config)
    beams = net.generate(ids, max_new_tokens=5, num_beams=3, **{name: cache})
    assert torch.equal(beams, expected)
    assert cache.get_seq_length() == 8
print(type(net).__module__.split(".")[0])
"""


def test_both_names_without_the_library(model, run_forked, tmp_path):
    model().save(tmp_path / "model")
    (tmp_path / "rebuilt.py").write_text(_REBUILT)
    (printed,) = run_forked(tmp_path / "rebuilt.py", tmp_path / "model")
    assert printed.split() == ["transformers_modules"]
