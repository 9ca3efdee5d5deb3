"""The checks of exercise 11.4, the parameters of a NeoBERT."""

from math import prod
from numbers import Integral
from typing import Any

from groundup.course.exercises import expect
from groundup.course.exercises.checks import Layer, check
from groundup.neobert.configuration import NeoBERTConfig

KEYS = (
    "embedding",
    "positions",
    "qkv",
    "wo",
    "ffn",
    "norms",
    "layer",
    "layers",
    "final_norm",
    "encoder",
    "decoder",
    "total",
)
OF_A_LAYER = ("qkv", "wo", "ffn", "norms")


def small(**changes: Any) -> tuple[NeoBERTConfig, dict[str, Any]]:
    """A model of width 4 with two heads of 2 and 8 hidden units; and what it is, to be shown."""
    shape = {
        "vocab_size": 10,
        "hidden_size": 4,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "max_length": 7,
        **changes,
    }
    config = NeoBERTConfig(**shape)
    return config, {**shape, "head_dim": config.head_dim, "swiglu_size": config.swiglu_size}


def counted(own: Any, config: NeoBERTConfig) -> dict[str, Any]:
    """What the learner returns, if it is a dictionary with all of the keys."""
    result = own.count_parameters(config)
    if not isinstance(result, dict):
        expect.fail(
            f"The result is {type(result).__name__}, not a dictionary. Is a return missing?"
        )
    if result.keys() != set(KEYS):
        missing, more = set(KEYS) - result.keys(), result.keys() - set(KEYS)
        says = f"Missing: {', '.join(sorted(missing))}. " if missing else ""
        says += f"Not asked for: {', '.join(sorted(more))}." if more else ""
        expect.fail(f"The keys are not those of the docstring. {says}".strip())
    return result


def every_tensor(config: NeoBERTConfig) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the file's tensors, one by one, under the parts they belong to."""
    width, vocabulary = config.hidden_size, config.vocab_size
    assert config.head_dim is not None
    one_norm = [(width,)] if config.norm_type == "rms_norm" else [(width,), (width,)]
    parts: dict[str, list[tuple[int, ...]]] = {key: [] for key in KEYS}
    parts["embedding"] = [(vocabulary, width)]
    if config.position_embedding_type == "absolute":
        parts["positions"] = [(config.max_length, width)]
    if config.norm_position == "pre":
        parts["final_norm"] = one_norm
    for _ in range(config.num_attention_heads):
        parts["qkv"] += [(config.head_dim, width)] * 3  # query, key and value of a head
        parts["wo"] += [(width, config.head_dim)]
    if config.hidden_act == "swiglu":
        hidden = config.swiglu_size
        parts["ffn"] = [(hidden, width), (hidden, width), (width, hidden)]
    else:
        hidden = config.intermediate_size
        parts["ffn"] = [(hidden, width), (width, hidden)]
    parts["norms"] = one_norm + one_norm
    parts["layer"] = [shape for name in OF_A_LAYER for shape in parts[name]]
    parts["layers"] = [shape for _ in range(config.num_hidden_layers) for shape in parts["layer"]]
    for name in ("embedding", "positions", "layers", "final_norm"):
        parts["encoder"] += parts[name]
    parts["decoder"] = [(vocabulary, width), (vocabulary,)]
    parts["total"] = parts["encoder"] + parts["decoder"]
    return parts


def agrees(own: Any, config: NeoBERTConfig, given: dict[str, Any], probably: str) -> None:
    """Every count is the sum over all tensors."""
    result = counted(own, config)
    for name, shapes in every_tensor(config).items():
        expected = sum(prod(shape) for shape in shapes)
        expect.close(result[name], expected, what=name, given=given, probably=probably)


@check(Layer.SHAPES)
def test_keys(own: Any) -> None:
    """a dictionary comes back, with the twelve keys"""
    counted(own, small()[0])


@check(Layer.SHAPES)
def test_whole_numbers(own: Any) -> None:
    """every count is an int"""
    for name, value in counted(own, small(intermediate_size=13)[0]).items():
        if not isinstance(value, Integral) or isinstance(value, bool):
            expect.fail(
                f"{name} is {value!r}, {type(value).__name__} and not int.",
                probably="A count is a whole number. A single / makes a float of everything it "
                "touches; config.swiglu_size is whole already.",
            )


@check(Layer.INPUTS)
def test_config_unchanged(own: Any) -> None:
    """the configuration is left as it was"""
    config, _ = small(intermediate_size=64)
    before = config.to_dict()
    own.count_parameters(config)
    own.count_parameters(config)
    changed = [name for name, value in config.to_dict().items() if value != before[name]]
    if changed:
        name = changed[0]
        expect.fail(
            f"config.{name} was {before[name]!r} and is {getattr(config, name)!r} now. The model "
            "is still to be built from it."
        )


@check(Layer.EXAMPLE, points=2)
def test_attention(own: Any) -> None:
    """qkv and wo of a layer of width 4"""
    config, given = small()
    result = counted(own, config)
    expect.close(
        result["qkv"],
        48,
        what="qkv",
        given=given,
        probably="The map is from D = 4 numbers to 3·H·K = 12: query, key and value of two heads "
        "of width 2. If you have 16, it is one of the three. If you have 60, it has a bias, and "
        "NeoBERT's has none.",
    )
    expect.close(
        result["wo"],
        16,
        what="wo",
        given=given,
        probably="The map is from H·K = 4 numbers to D = 4, without a bias.",
    )


@check(Layer.EXAMPLE, points=2)
def test_feed_forward(own: Any) -> None:
    """the three matrices of a SwiGLU network"""
    config, given = small()
    expect.close(
        counted(own, config)["ffn"],
        96,
        what="ffn",
        given=given,
        probably="Gate, value and the way back: three matrices of D × F = 4 × 8. If you have 144, "
        "the width is intermediate_size, and the rule of two thirds is left out. If you have 64, "
        "the gate or the value is.",
    )


@check(Layer.EXAMPLE)
def test_layer(own: Any) -> None:
    """two norms, and the sum of one layer"""
    config, given = small()
    result = counted(own, config)
    for name, expected, probably in (
        ("norms", 8, "One before each branch, D = 4 scales each. If you have 4, it is one norm."),
        ("layer", 168, "48 + 16 + 96 + 8."),
    ):
        expect.close(result[name], expected, what=name, given=given, probably=probably)


@check(Layer.EXAMPLE)
def test_encoder(own: Any) -> None:
    """embedding, two layers, the last norm: the encoder"""
    config, given = small()
    result = counted(own, config)
    for name, expected, probably in (
        ("embedding", 40, "V = 10 vectors of D = 4."),
        (
            "positions",
            0,
            "position_embedding_type is rotary: RoPE computes its angles. If you have 28, it is a "
            "table of max_length vectors that this model does not have.",
        ),
        ("layers", 336, "Two layers of 168. If you have 168, it is one."),
        (
            "final_norm",
            4,
            "D scales, once. If you have 0, the norm after the last layer is missed.",
        ),
        (
            "encoder",
            380,
            "40 + 336 + 4. qkv, wo, ffn and norms are in layer, and layer is in layers: each "
            "parameter counts once. If you have 716, some are counted again.",
        ),
    ):
        expect.close(result[name], expected, what=name, given=given, probably=probably)


@check(Layer.EXAMPLE)
def test_decoder(own: Any) -> None:
    """the decoder, and all"""
    config, given = small()
    result = counted(own, config)
    for name, expected, probably in (
        (
            "decoder",
            50,
            "A matrix of V × D = 40 and V = 10 biases. If you have 10, the matrix is taken to be "
            "the embedding's, and NeoBERT's is its own. If you have 40, the bias is left out.",
        ),
        ("total", 430, "encoder and decoder, 380 + 50. If you have 380, it is the encoder."),
    ):
        expect.close(result[name], expected, what=name, given=given, probably=probably)


@check(Layer.EXAMPLE)
def test_wide_heads(own: Any) -> None:
    """heads of another width than D / H"""
    config, given = small(head_dim=8)
    result = counted(own, config)
    for name, expected in (("qkv", 192), ("wo", 64)):
        expect.close(
            result[name],
            expected,
            what=name,
            given=given,
            probably="Two heads of width 8 are 16 numbers, and D is still 4: qkv maps 4 to 48 and "
            "wo maps 16 to 4. If you have 48, the heads are taken to be D wide together.",
        )


@check(Layer.EXAMPLE, points=2)
def test_older_parts(own: Any) -> None:
    """the parts of 2017: GELU, LayerNorm after each sum, a table"""
    config, given = small(
        hidden_act="gelu",
        norm_type="layer_norm",
        norm_position="post",
        position_embedding_type="absolute",
    )
    result = counted(own, config)
    for name, expected, probably in (
        (
            "ffn",
            96,
            "Two matrices of D × intermediate_size = 4 × 12.",
        ),
        (
            "norms",
            16,
            "There are two norms, and LayerNorm has D scales and D shifts.",
        ),
        ("positions", 28, "max_length = 7 vectors of D = 4. If you have 0, the table is missing."),
        (
            "final_norm",
            0,
            "A post-norm block ends with a norm, and none follows the last. If you have 8, one "
            "is counted there.",
        ),
        ("total", 40 + 28 + 2 * 176 + 50, "40 + 28 + 2·176 + 50."),
    ):
        expect.close(result[name], expected, what=name, given=given, probably=probably)


@check(Layer.RANDOM, points=2)
def test_other_sizes(own: Any) -> None:
    """other sizes and switches: the sum over all tensors of the file"""
    for changes in (
        {"intermediate_size": 64, "num_hidden_layers": 1},
        {"hidden_size": 6, "num_attention_heads": 3, "vocab_size": 7},
        {"hidden_act": "gelu", "intermediate_size": 30},
        {"norm_type": "layer_norm", "num_hidden_layers": 5},
        {"norm_position": "post", "head_dim": 8},
        {"position_embedding_type": "absolute", "max_length": 3, "vocab_size": 31},
        {"tie_word_embeddings": True, "num_hidden_layers": 0},
    ):
        config, given = small(**changes)
        agrees(
            own,
            config,
            given,
            "Write down every tensor of the file with its shape, and add the products up. The "
            "counts are those of two tables, whatever tie_word_embeddings says.",
        )


@check(Layer.RANDOM)
def test_published(own: Any) -> None:
    """the published model: 245,136,954"""
    result = counted(own, NeoBERTConfig())
    for name, expected in (
        ("layer", 7_079_424),
        ("layers", 198_223_872),
        ("encoder", 221_665_536),
        ("decoder", 23_471_418),
        ("total", 245_136_954),
    ):
        expect.close(
            result[name],
            expected,
            what=name,
            given={"config": "NeoBERTConfig()"},
            probably="The chapter's table has each row of this sum.",
        )
