"""A sentence encoder's pooling on disk, as sentence-transformers' own modules.

``SentenceTransformer(directory)`` reads ``modules.json`` and the folders that it names; any other
file is ignored without a word. So everything that changes a vector is written into those modules,
and a module or a setting that this library does not compute is refused on reading.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from groundup.lab.errors import UserError
from groundup.lab.files import read_json, write_json

MODULES_FILE = "modules.json"
_TRANSFORMER_FILE = "sentence_bert_config.json"
_MODEL_FILE = "config_sentence_transformers.json"
_PREFIX = "sentence_transformers.models."  # the older name, which version 6 reads too

# Pooling in sentence-transformers' words. "weighted" is a mean too, of tokens that WordWeights has
# multiplied; it divides by the sum of their weights.
_FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
_MODES = {"mean": "mean", "weighted": "mean", "last": "lasttoken"}
_CHAINS = {
    ("Transformer", "Pooling", "Normalize"),
    ("Transformer", "WordWeights", "Pooling", "Normalize"),
}
# Entries of the transformer's file that change nothing at these values.
_TEXT_ONLY = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
_HARMLESS: dict[str, Any] = {
    "transformer_task": "feature-extraction",
    "modality_config": _TEXT_ONLY,
    "module_output_name": "token_embeddings",
}
_UNREAD = ("max_seq_length", "unpad_inputs")  # read elsewhere; a question of speed


@dataclass(frozen=True)
class Pooling:
    """How token vectors become the vector of a text.

    Attributes:
        kind: "mean", "weighted" or "last".
        max_length: tokens read of a text. None: the tokenizer's own limit.
        token_weights: (V,) float32, of "weighted".
    """

    kind: str
    max_length: int | None
    token_weights: Tensor | None = None


def write_pooling(
    directory: Path, pooling: Pooling, width: int, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Write ``modules.json`` and its folders beside a backbone and its tokenizer.

    Args:
        directory: holds, or will hold, the backbone's files.
        pooling: what follows the backbone.
        width: D, of the vectors.
        tokenizer: names the tokens that have weights.
    """
    chain = ["Transformer", "Pooling", "Normalize"]
    if pooling.token_weights is not None:
        chain.insert(1, "WordWeights")
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{name}" if i else "",
            "type": _PREFIX + name,
        }
        for i, name in enumerate(chain)
    ]
    paths = {name: directory / str(m["path"]) for name, m in zip(chain, modules, strict=True)}
    reading = {"max_seq_length": pooling.max_length, "do_lower_case": False}
    write_json(directory / _TRANSFORMER_FILE, reading)
    if pooling.token_weights is not None:
        values = pooling.token_weights.detach().float().tolist()
        names = {i: token for token, i in tokenizer.get_vocab().items()}
        vocab = [names.get(i, f"[id {i}]") for i in range(len(values))]
        weights = dict(zip(vocab, values, strict=True))
        content = {"vocab": vocab, "word_weights": weights, "unknown_word_weight": 1.0}
        write_json(paths["WordWeights"] / "config.json", content)
    mode = _MODES[pooling.kind]
    flags = {flag: name == mode for name, flag in _FLAGS.items()}
    write_json(paths["Pooling"] / "config.json", {"word_embedding_dimension": width, **flags})
    write_json(directory / MODULES_FILE, modules)


def read_pooling(directory: Path) -> tuple[Path, Pooling]:
    """Read a directory of sentence-transformers' modules, ours or another's.

    Returns:
        The folder of the backbone and its tokenizer, and what follows the backbone.

    Raises:
        UserError: the directory has no ``modules.json``, a part of it can't be read, or it asks for
            something that this library does not compute; the message names it.
    """
    modules = read_json(directory / MODULES_FILE)
    if modules is None:
        raise UserError(f"{directory} holds no sentence encoder ({MODULES_FILE} is missing)")
    try:
        types = [str(module["type"]) for module in modules]
        chain = tuple(name.rsplit(".", 1)[-1] for name in types)
        paths = {name: directory / m["path"] for name, m in zip(chain, modules, strict=True)}
    except (KeyError, TypeError) as error:
        raise UserError(f"{directory / MODULES_FILE} is not a list of modules") from error
    if chain not in _CHAINS or not all(t.startswith("sentence_transformers.") for t in types):
        known = " or ".join(", ".join(each) for each in sorted(_CHAINS))
        raise UserError(
            f"{directory / MODULES_FILE} lists {', '.join(types) or 'nothing'}; "
            f"this library computes {known}"
        )
    _refuse_prompts(directory / _MODEL_FILE)
    max_length = _read_transformer(paths["Transformer"] / _TRANSFORMER_FILE)
    mode = _read_mode(paths["Pooling"] / "config.json")
    weights = None
    if "WordWeights" in paths:
        weights = _read_weights(paths["WordWeights"] / "config.json")
    kinds = {"mean": "mean" if weights is None else "weighted"}
    if weights is None:
        kinds["lasttoken"] = "last"
    if mode not in kinds:
        raise UserError(
            f"{paths['Pooling'] / 'config.json'} asks for pooling {mode!r}; after "
            f"{chain[-3]} this library computes {' or '.join(kinds)}"
        )
    return paths["Transformer"], Pooling(kinds[mode], max_length, weights)


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is missing or is not a JSON object")
    return content


def _refuse_prompts(path: Path) -> None:
    """A prompt is put before texts elsewhere; here it would be left out."""
    content = _object(path) if path.exists() else {}
    prompts = {name: text for name, text in (content.get("prompts") or {}).items() if text}
    if prompts:
        raise UserError(
            f"{path} has prompts, which this library does not put before texts: {prompts}"
        )
    kind = content.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer" or content.get("truncate_dim"):
        raise UserError(
            f"{path} describes something other than a plain sentence encoder: {content}"
        )


def _read_transformer(path: Path) -> int | None:
    content = _object(path) if path.exists() else {}
    for name, value in content.items():
        if name not in _UNREAD and value and value != _HARMLESS.get(name):
            raise UserError(f"{path} sets {name} to {value!r}, which this library does not do")
    length = content.get("max_seq_length")
    if length is not None and (not isinstance(length, int) or length < 1):
        raise UserError(f"{path}: max_seq_length must be a number of tokens: got {length!r}")
    return length


def _read_mode(path: Path) -> str:
    content = _object(path)
    modes = content.get("pooling_mode", [m for m, flag in _FLAGS.items() if content.get(flag)])
    modes = [modes] if isinstance(modes, str) else list(modes)
    return " + ".join(map(str, modes)) if modes else "mean"


def _read_weights(path: Path) -> Tensor:
    """The weight of each token: its own, else that of its lower-case form, else the unknown's."""
    content = _object(path)
    try:
        table, unknown = content["word_weights"], content.get("unknown_word_weight", 1)
        values = [table.get(word, table.get(word.lower(), unknown)) for word in content["vocab"]]
        return torch.tensor(values, dtype=torch.float32)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} does not describe weights of words: {error}") from error
