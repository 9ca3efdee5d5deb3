"""The causal decoder against NumPy, against Llama, and its cache against the full pass."""

import json
from functools import partial

import numpy as np
import peft
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache

from groundup.neobert.attention import split_groups, split_qkv
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.decoder import NeoDecoderForCausalLM, NeoDecoderModel, next_tokens
from groundup.neobert.decoder_configuration import NeoDecoderConfig
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel
from groundup.neobert.rope_layout import pairs_to_halves
from groundup.scratch.attention import attention, merge_heads, split_heads
from groundup.scratch.feedforward import swiglu
from groundup.scratch.normalization import rms_norm
from groundup.scratch.positions import rope

V = 50
FORMS = {
    "plain": {},
    "grouped": {"num_key_value_heads": 2},
    "one key head": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "local": {"num_key_value_heads": 2, "local_attention": 3, "global_attn_every_n_layers": 2},
    "of 2017": {
        "position_embedding_type": "absolute",
        "norm_position": "post",
        "norm_type": "layer_norm",
        "hidden_act": "gelu",
    },
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())


SHAPE = {"num_attention_heads": 6, "intermediate_size": 48, "max_length": 24}


@pytest.fixture(scope="module")
def model(model):
    return partial(model, NeoDecoderForCausalLM, **SHAPE)


@pytest.fixture(scope="module")
def small(small):
    return partial(small, NeoDecoderConfig, **SHAPE)


def batch(shape: tuple[int, ...] = (3, 9)) -> Tensor:
    return torch.randint(0, V, shape, generator=torch.Generator().manual_seed(1))


def padded_left() -> tuple[Tensor, Tensor]:
    return batch(), (torch.arange(9) >= torch.tensor([[0], [5], [3]])).long()


# An independent oracle: the functions of Part I, in NumPy and float64.


def numpy_logits(net: NeoDecoderForCausalLM, ids: Tensor) -> np.ndarray:
    config = net.config
    heads, groups, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    w = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    length, x = ids.shape[1], w["model.encoder.weight"][ids.numpy()]
    distance = np.arange(length)[:, None] - np.arange(length)
    for i in range(config.num_hidden_layers):
        at = f"model.transformer_encoder.{i}."
        normal = rms_norm(x, w[at + "attention_norm.weight"], config.norm_eps)[0]
        # Rows of the projection, one group after the other: its queries, its key, its value.
        rows = list(w[at + "qkv.weight"].reshape(-1, size, x.shape[-1]))
        each = heads // groups
        q_rows, kv_rows = [], []
        for g in range(groups):
            own = rows[g * (each + 2) : (g + 1) * (each + 2)]
            q_rows += own[:each]
            kv_rows += [own[each:]] * each  # every query head gets the key and value of its group
        q = split_heads(normal @ np.concatenate(q_rows).T, heads)
        k = split_heads(normal @ np.concatenate([key for key, _ in kv_rows]).T, heads)
        v = split_heads(normal @ np.concatenate([value for _, value in kv_rows]).T, heads)
        look = distance >= 0
        if config.local_attention is not None and i % config.global_attn_every_n_layers:
            look = look & (distance < config.local_attention)
        mixed = attention(rope(q)[0], rope(k)[0], v, look)[0]
        x = x + merge_heads(mixed) @ w[at + "wo.weight"].T
        normal = rms_norm(x, w[at + "ffn_norm.weight"], config.norm_eps)[0]
        x = x + swiglu(normal, w[at + "ffn.w12.weight"].T, w[at + "ffn.w3.weight"].T)[0]
    x = rms_norm(x, w["model.layer_norm.weight"], config.norm_eps)[0]
    return x @ w["lm_head.weight"].T


@pytest.mark.parametrize("form", ["plain", "grouped", "one key head", "local"])
def test_equals_numpy(model, form):
    net = model(**FORMS[form])
    with torch.no_grad():
        logits = net(batch()).logits.numpy()
    np.testing.assert_allclose(logits, numpy_logits(net, batch()), atol=1e-12)


def test_equals_llama_with_its_own_layout(model):
    """transformers' Llama turns the halves of a head, and keeps q, k and v apart."""
    net = model(num_key_value_heads=2)
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=V,
            hidden_size=24,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            intermediate_size=net.config.swiglu_size,
            max_position_embeddings=24,
            rms_norm_eps=net.config.norm_eps,
        )
    )
    own = net.state_dict()
    theirs = {
        "model.embed_tokens.weight": own["model.encoder.weight"],
        "model.norm.weight": own["model.layer_norm.weight"],
        "lm_head.weight": own["lm_head.weight"],
    }
    for i in range(3):
        at, to = f"model.transformer_encoder.{i}.", f"model.layers.{i}."
        blocks = own[at + "qkv.weight"].view(2, 5, 4, 24)  # 2 groups of 3 queries, key, value
        q, k, v = blocks[:, :3].flatten(0, 2), blocks[:, 3].flatten(0, 1), blocks[:, 4]
        theirs[to + "self_attn.q_proj.weight"] = pairs_to_halves(q, 4)
        theirs[to + "self_attn.k_proj.weight"] = pairs_to_halves(k, 4)
        theirs[to + "self_attn.v_proj.weight"] = v.flatten(0, 1)
        theirs[to + "self_attn.o_proj.weight"] = own[at + "wo.weight"]
        gate, value = own[at + "ffn.w12.weight"].chunk(2)
        theirs[to + "mlp.gate_proj.weight"], theirs[to + "mlp.up_proj.weight"] = gate, value
        theirs[to + "mlp.down_proj.weight"] = own[at + "ffn.w3.weight"]
        theirs[to + "input_layernorm.weight"] = own[at + "attention_norm.weight"]
        theirs[to + "post_attention_layernorm.weight"] = own[at + "ffn_norm.weight"]
    llama.double().eval().load_state_dict(theirs)
    ids = batch()
    with torch.no_grad():
        expected, made = llama(ids, labels=ids), net(ids, labels=ids)
    # Llama computes its rotations in float32 whatever the model's precision.
    assert (made.logits - expected.logits).abs().max() < 1e-5
    assert abs(float(made.loss - expected.loss)) < 1e-5


def test_split_groups_is_the_published_cut_when_no_key_is_shared():
    qkv = torch.randn(2, 5, 6 * 3 * 4)
    for ours, published in zip(split_groups(qkv, 6, 6), split_qkv(qkv, 6), strict=True):
        assert torch.equal(ours, published)


def test_an_encoders_weights_load_and_its_last_token_agrees(small, tmp_path):
    """The last token sees everything in both: in one layer the mask makes no difference to it."""
    shape = small(num_hidden_layers=1, initializer_range=0.3).to_dict()
    del shape["model_type"], shape["num_key_value_heads"]
    encoder = NeoBERTForMaskedLM(NeoBERTConfig(**shape)).eval()
    encoder.save_pretrained(tmp_path)
    decoder = NeoDecoderModel.from_pretrained(tmp_path).eval()
    ids = batch()
    ours, theirs = decoder(ids).last_hidden_state, encoder.model(ids).last_hidden_state
    torch.testing.assert_close(ours[:, -1], theirs[:, -1])
    assert (ours[:, 0] - theirs[:, 0]).abs().max() > 0.01


# Causality


@every_form
def test_no_output_depends_on_a_later_token(model, form):
    net = model(**form)
    embedded = net.model.encoder(batch((1, 6))).detach().requires_grad_()
    logits = net(inputs_embeds=embedded).logits[0]
    for i in range(6):
        (slope,) = torch.autograd.grad(logits[i].square().sum(), embedded, retain_graph=True)
        moved = slope[0].abs().sum(-1)
        assert (moved[i + 1 :] == 0).all()
        assert (moved[: i + 1] > 0).all()


def test_a_local_layer_sees_itself_and_those_before_it(model):
    net = model(num_hidden_layers=2, local_attention=3, global_attn_every_n_layers=2)
    weights = net(batch(), output_attentions=True).attentions
    seen = (weights[1] > 0)[0, 0].sum(-1)
    assert seen.tolist() == [1, 2, 3, 3, 3, 3, 3, 3, 3]
    assert (weights[0] > 0)[0, 0].sum(-1).tolist() == list(range(1, 10))


# The cache


def step_by_step(net: NeoDecoderForCausalLM, ids: Tensor, mask: Tensor | None, sizes: list[int]):
    cache, begin, logits = DynamicCache(config=net.config), 0, []
    for size in sizes:
        end = begin + size
        seen = None if mask is None else mask[:, :end]
        made = net(ids[:, begin:end], seen, cache=cache, use_cache=True)
        assert made.cache.get_seq_length() == end
        logits.append(made.logits)
        begin = end
    return torch.cat(logits, 1)


@every_form
@pytest.mark.parametrize("sizes", [[1] * 9, [5, 1, 3]], ids=["tokens", "chunks"])
@pytest.mark.parametrize("padding", ["none", "left", "both"])
def test_cache_equals_the_full_pass(model, form, sizes, padding):
    net = model(**form)
    ids, mask = padded_left()
    if padding == "both":
        mask = mask * mask.flip(0, 1)
    if padding == "none":
        mask = torch.ones_like(mask)
    with torch.no_grad():
        full = net(ids, mask).logits
        steps = step_by_step(net, ids, None if padding == "none" else mask, sizes)
    real = mask.bool()
    assert (steps - full)[real].abs().max() < 1e-12
    assert steps.isfinite().all()
    assert (steps[~real] == 0).all()
    assert (full[~real] == 0).all()


SETTINGS = {
    "greedy": {},
    "beams": {"num_beams": 3, "length_penalty": 0.5},
    "drawn": {"do_sample": True, "top_k": 5, "num_return_sequences": 2},
}


@every_form
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_the_same_is_written_with_and_without_a_cache(model, form, settings):
    net = model(**form)
    ids, mask = padded_left()
    written = []
    for use_cache in (True, False):
        torch.manual_seed(0)
        written.append(
            net.generate(
                ids, attention_mask=mask, max_new_tokens=6, use_cache=use_cache, **settings
            )
        )
    assert torch.equal(*written)


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_prompts_side_by_side_equal_prompts_alone(model, settings):
    net = model(num_key_value_heads=2)
    ids, mask = padded_left()
    together = net.generate(ids, attention_mask=mask, max_new_tokens=6, **settings)
    for row, real, written in zip(ids, mask.bool(), together, strict=True):
        alone = net.generate(row[real][None], max_new_tokens=6, **settings)
        assert torch.equal(alone[0, -6:], written[-6:])


def test_greedy_writes_the_likeliest_token_and_stops_at_the_end(model):
    net = model()
    ids = batch((1, 4))
    text = ids
    for _ in range(8):
        text = torch.cat([text, net(text).logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(net.generate(ids, max_new_tokens=8), text)
    end = int(text[0, 6])
    first = text[0, 4:].tolist().index(end)
    stopped = net.generate(ids, max_new_tokens=8, eos_token_id=end)
    assert stopped[0].tolist() == text[0, : 5 + first].tolist()


def test_padding_does_not_count_as_length(model):
    net = model(max_length=6)
    ids, mask = batch((1, 9)), (torch.arange(9) >= 3)[None]
    full = net(ids[:, 3:]).logits
    cached = net(ids, mask, use_cache=True).logits
    assert (cached[:, 3:] - full).abs().max() < 1e-12
    assert (net(ids, mask).logits[:, 3:] - full).abs().max() < 1e-12


def test_generate_reads_embeddings_caches_and_guesses(model):
    net = model(num_key_value_heads=2, bos_token_id=3)
    ids = batch((1, 6))
    text = net.generate(ids, max_new_tokens=10)
    embedded = net.model.encoder(ids)
    assert torch.equal(net.generate(inputs_embeds=embedded, max_new_tokens=10), text[:, 6:])
    # Guesses are looked up in the text, checked in one pass, and taken back out of the cache.
    guessed = net.generate(ids, max_new_tokens=10, prompt_lookup_num_tokens=3)
    assert torch.equal(guessed, text)
    cache = DynamicCache(config=net.config)
    half = net.generate(ids, max_new_tokens=5, cache=cache)
    assert torch.equal(net.generate(half, max_new_tokens=5, cache=cache), text)
    begun = net.generate(torch.tensor([[3]]), max_new_tokens=4)
    assert torch.equal(net.generate(max_new_tokens=4), begun)


def test_the_written_formula_agrees(model):
    net = model(num_key_value_heads=2, local_attention=3, global_attn_every_n_layers=2)
    ids, mask = padded_left()
    expected, text = net(ids, mask).logits, net.generate(ids, max_new_tokens=5)
    net.set_attn_implementation("eager")
    assert (net(ids, mask).logits - expected).abs().max() < 1e-12
    assert torch.equal(net.generate(ids, max_new_tokens=5), text)


def test_padding_that_sees_nothing_spoils_nothing(model, monkeypatch):
    """Some kernels give NaN to a query that sees no key; 0 · NaN would reach every later layer."""
    ours = F.scaled_dot_product_attention

    def harsh(q, k, v, attn_mask=None, **options):
        mixed = ours(q, k, v, attn_mask=attn_mask, **options)
        if attn_mask is None:
            return mixed
        return mixed.masked_fill(~attn_mask.any(-1, keepdim=True), torch.nan)

    net = model()
    ids, mask = padded_left()
    expected = net(ids, mask, use_cache=True).logits
    monkeypatch.setattr(F, "scaled_dot_product_attention", harsh)
    assert torch.equal(net(ids, mask, use_cache=True).logits, expected)


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default")
def test_without_a_length_generate_writes_as_much_as_transformers_says(model):
    net = model(max_length=64)
    assert net.generate(batch((1, 4))).shape == (1, 24)
    assert model().generate(batch((1, 9))).shape == (1, 24)  # 9 + 20, but it reads 24 at most


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_token_is_the_same_on_either_side_of_padding(model, side):
    net = model(num_key_value_heads=2).model
    ids, mask = padded_left()
    if side == "right":
        ids, mask = ids.flip(1), mask.flip(1)
    hidden = net(ids, mask).last_hidden_state
    for row, real, got in zip(ids, mask.bool(), hidden, strict=True):
        alone = net(row[real][None]).last_hidden_state[0]
        assert (got[real][-1] - alone[-1]).abs().max() < 1e-12


# The loss


def test_loss_is_the_mean_surprise_at_the_next_tokens(model):
    net = model()
    ids = batch()
    labels = ids.clone()
    labels[0, 2:5] = -100
    made = net(ids, labels=labels)
    nats = []
    for row in range(3):
        for i in range(8):
            if labels[row, i + 1] != -100:
                nats.append(-made.logits[row, i].log_softmax(-1)[ids[row, i + 1]])
    assert len(nats) == 3 * 8 - 3
    assert torch.allclose(made.loss, torch.stack(nats).mean())
    assert torch.allclose(net(ids, labels=labels, num_items_in_batch=7).loss * 7, sum(nats))
    sparse = model(sparse_prediction=True)(ids, labels=labels)
    assert sparse.logits.shape == (21, V)
    assert torch.allclose(sparse.loss, made.loss)


@pytest.mark.parametrize("form", ["grouped", "local"])
def test_padded_and_packed_training_equal_texts_alone(model, form):
    ids, left = padded_left()
    texts = [row[real] for row, real in zip(ids, left.bool(), strict=True)]
    right_ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    right = left.flip(1)
    packed = torch.cat(texts)[None]
    cu_seqlens = torch.tensor([0, 9, 13, 19])
    targets = 19 - 3

    def alone(net):
        return sum(net(t[None], labels=t[None], num_items_in_batch=targets).loss for t in texts)

    ways = {
        "alone": alone,
        "left": lambda net: net(ids, left, labels=ids).loss,
        "right": lambda net: net(right_ids, right, labels=right_ids).loss,
        "packed": lambda net: net(packed, labels=packed, cu_seqlens=cu_seqlens).loss,
    }
    losses, grads = {}, {}
    for way, loss in ways.items():
        net = model(**FORMS[form])
        made = loss(net)
        made.backward()
        losses[way] = made.detach()
        grads[way] = {name: p.grad for name, p in net.named_parameters()}
    for way in ways:
        assert abs(losses[way] - losses["alone"]) < 1e-12, way
        for name, grad in grads["alone"].items():
            assert (grads[way][name] - grad).abs().max() < 1e-12, (way, name)


def test_next_tokens_stay_in_their_text():
    labels = torch.arange(6)[None]
    mask = torch.tensor([[0, 1, 1, 0, 1, 1]])
    assert next_tokens(labels).tolist() == [[1, 2, 3, 4, 5, -100]]
    assert next_tokens(labels, mask).tolist() == [[-100, 2, -100, -100, 5, -100]]
    ends = torch.tensor([0, 0, 2, 6])
    assert next_tokens(labels, None, ends).tolist() == [[1, -100, 3, 4, 5, -100]]


def test_logits_to_keep(model):
    net = model()
    full = net(batch()).logits
    torch.testing.assert_close(net(batch(), logits_to_keep=2).logits, full[:, -2:])
    indices = torch.tensor([0, 4])
    torch.testing.assert_close(net(batch(), logits_to_keep=indices).logits, full[:, indices])


def test_half_precision_loss_is_computed_in_single(model):
    net = model().bfloat16()
    made = net(batch(), labels=batch())
    assert made.logits.dtype == torch.bfloat16
    assert made.loss.dtype == torch.float32
    precise = F.cross_entropy(made.logits[:, :-1].float().flatten(0, 1), batch()[:, 1:].flatten())
    torch.testing.assert_close(made.loss, precise)


# Outputs


def test_attention_weights_and_hidden_states(model):
    net = model(num_key_value_heads=2)
    ids, mask = padded_left()
    made = net(ids, mask, output_attentions=True, output_hidden_states=True)
    plain = net(ids, mask)
    torch.testing.assert_close(made.logits, plain.logits)
    assert len(made.hidden_states) == 4
    torch.testing.assert_close(net.lm_head(made.hidden_states[-1]), made.logits)
    for weights in made.attentions:
        assert weights.shape == (3, 6, 9, 9)
        assert (weights.triu(1) == 0).all()
        torch.testing.assert_close(weights.sum(-1), mask[:, None].expand(3, 6, 9).double())
    cache = net(ids[:, :5], use_cache=True).cache
    step = net(ids[:, 5:6], cache=cache, output_attentions=True).attentions
    full = net(ids, output_attentions=True).attentions
    torch.testing.assert_close(step[2][:, :, 0], full[2][:, :, 5, :6])


# The model as a citizen of transformers


def test_tied_embeddings_are_one_tensor_learned_saved_and_loaded_once(model, tmp_path):
    net = model(tie_word_embeddings=True)
    assert net.lm_head.weight is net.model.encoder.weight
    net.save(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert ("lm_head.weight" in stored) != ("model.encoder.weight" in stored)
    loaded = NeoDecoderForCausalLM.load(tmp_path)
    assert loaded.lm_head.weight is loaded.model.encoder.weight
    assert torch.equal(loaded(batch()).logits, net(batch()).logits)
    loaded.resize_token_embeddings(V + 3)
    assert loaded.lm_head.weight is loaded.model.encoder.weight
    assert loaded(batch()).logits.shape[-1] == V + 3
    apart = model()
    assert apart.lm_head.weight is not apart.model.encoder.weight
    apart.save(tmp_path)
    assert torch.equal(NeoDecoderForCausalLM.load(tmp_path)(batch()).logits, apart(batch()).logits)


def test_grouped_queries_take_fewer_parameters(model):
    def count(groups: int) -> int:
        return sum(p.numel() for p in model(num_key_value_heads=groups).parameters())

    assert count(6) - count(2) == 3 * 2 * 4 * 4 * 24  # 3 layers, 4 keys and 4 values of 4 rows


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
def test_lora_finds_the_maps_by_name(model):
    net = model(dtype=torch.float32, num_key_value_heads=2)
    names = ["qkv", "wo", "w12", "w3"]
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=names)
    tuned = peft.get_peft_model(net, config)
    adapted = {n.split(".lora_A")[0] for n, _ in tuned.named_parameters() if ".lora_A" in n}
    assert len(adapted) == 3 * 4
    before = tuned(batch(), labels=batch()).loss
    before.backward()
    torch.optim.SGD([p for p in tuned.parameters() if p.requires_grad], 0.1).step()
    assert tuned(batch(), labels=batch()).loss < before
    assert tuned.generate(input_ids=batch(), max_new_tokens=2).shape == (3, 11)
    everywhere = peft.get_peft_model(
        model(dtype=torch.float32),
        peft.LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"),
    )
    assert not any("lm_head" in n for n, _ in everywhere.named_parameters() if "lora" in n)


_REBUILD = """
import sys, torch
from safetensors.torch import save_file
sys.modules["groundup"] = None  # importing it now raises
from transformers import AutoModel, AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
base = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True).eval()
ids = torch.arange(1, 9).view(2, 4)
with torch.no_grad():
    outputs = {
        "logits": model(ids).logits,
        "hidden": base(ids).last_hidden_state,
        "written": model.generate(ids, max_new_tokens=5),
    }
save_file(outputs, sys.argv[2])
print(type(model).__module__.split(".")[0], type(base).__name__)
"""


def test_rebuilt_in_a_process_without_the_library(model, run_forked, tmp_path):
    net = model(dtype=torch.float32, num_key_value_heads=2)
    net.save(tmp_path / "model")
    (tmp_path / "rebuild.py").write_text(_REBUILD)
    (printed,) = run_forked(
        tmp_path / "rebuild.py", tmp_path / "model", tmp_path / "out.safetensors"
    )
    assert printed.split() == ["transformers_modules", "NeoDecoderModel"]
    outputs = load_file(tmp_path / "out.safetensors")
    ids = torch.arange(1, 9).view(2, 4)
    assert torch.equal(outputs["logits"], net(ids).logits)
    assert torch.equal(outputs["hidden"], net.model(ids).last_hidden_state)
    assert torch.equal(outputs["written"], net.generate(ids, max_new_tokens=5))


def test_a_directory_names_its_own_classes(model, small, tmp_path):
    """A decoder is a NeoBERT too, for Python; AutoModel must not take one for the other."""

    def auto_map(net: NeoBERTModel | NeoDecoderForCausalLM) -> dict[str, str]:
        net.save_pretrained(tmp_path)
        found: dict[str, str] = json.loads((tmp_path / "config.json").read_text())["auto_map"]
        return found

    assert auto_map(model()) == {
        "AutoConfig": "decoder_configuration.NeoDecoderConfig",
        "AutoModel": "decoder.NeoDecoderModel",
        "AutoModelForCausalLM": "decoder.NeoDecoderForCausalLM",
    }
    encoder = NeoBERTModel(NeoBERTConfig(**{**small().to_dict(), "model_type": "neobert"}))
    assert auto_map(encoder)["AutoModel"] == "modeling.NeoBERTModel"


# Wrong input


WRONG = {
    "at most max_length=24 tokens: got 25": lambda net: net(batch((1, 25))),
    "at most max_length=24 tokens: got 26": lambda net: net(
        batch((1, 3)), cache=net(batch((1, 23)), use_cache=True).cache
    ),
    "at most max_length=24": lambda net: net.generate(batch((1, 9)), max_new_tokens=17),
    "lie in 0 to 49: got 50": lambda net: net(torch.tensor([[1, 50]])),
    r"attention_mask must be \(B, T\) = \(3, 9\): got \(3, 4\)": lambda net: net(
        batch(), torch.ones(3, 4)
    ),
    r"= \(3, 10\): got \(3, 1\)": lambda net: net(
        batch((3, 1)),
        torch.ones(3, 1),
        cache=net(batch(), use_cache=True).cache,
    ),
    r"labels must be \(B, T\)": lambda net: net(batch(), labels=batch((3, 8))),
    "leave out logits_to_keep": lambda net: net(batch(), labels=batch(), logits_to_keep=1),
    "padded on the left": lambda net: net.generate(
        batch(), attention_mask=padded_left()[1].flip(1), max_new_tokens=2
    ),
    "cu_seqlens goes with": lambda net: net(
        batch((1, 9)), cu_seqlens=torch.tensor([0, 9]), use_cache=True
    ),
    "a cache that grows": lambda net: net(batch(), cache=StaticCache(net.config, max_cache_len=20)),
    "goes without a cache": lambda net: net(*padded_left(), use_cache=True, output_attentions=True),
    "give either": lambda net: net(),
}


@pytest.mark.parametrize(("message", "call"), WRONG.items(), ids=range(len(WRONG)))
def test_wrong_input_is_named(model, message, call):
    with pytest.raises(ValueError, match=message):
        call(model())


@pytest.mark.parametrize("groups", [0, 4, 12])
def test_heads_of_keys_must_divide_heads_of_queries(small, groups):
    with pytest.raises(ValueError, match=f"must divide num_attention_heads: got {groups} and 6"):
        small(num_key_value_heads=groups)


def test_auto_classes_know_it_without_trust(model, tmp_path):
    from transformers import AutoModel, AutoModelForCausalLM

    from groundup.neobert.auto import register_auto_classes

    register_auto_classes()
    model(seed=1).save(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is NeoDecoderForCausalLM
    assert type(AutoModel.from_pretrained(tmp_path)) is NeoDecoderModel
