"""A model on disk, with the state of its training if wanted: safetensors, written atomically."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from groundup.scratch import decoder, encoder
from groundup.scratch.decoder import Decoder, DecoderConfig
from groundup.scratch.encoder import Encoder, EncoderConfig
from groundup.scratch.types import Params

_STATE = "state."
C = TypeVar("C")


class Moments(Protocol):
    """What an optimizer of the Adam family remembers."""

    first: Params
    second: Params
    step_count: int


def save(
    model: Encoder | Decoder,
    path: Path,
    notes: dict[str, str] | None = None,
    state: Params | None = None,
) -> None:
    """Write the parameters and the configuration into one file, atomically.

    A reader sees the old file or the new one, never half of either.

    Args:
        model: what to save.
        path: where; folders on the way are made.
        notes: more strings to keep in the file's metadata.
        state: more arrays to keep, such as :func:`optimizer_state`; :func:`load_state` reads them.
    """
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"config": json.dumps(asdict(model.config)), **(notes or {})}
    tensors = model.params | {_STATE + name: value for name, value in (state or {}).items()}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        # save_file writes memory in the order it has: a transposed view would come back scrambled.
        save_file({n: np.asarray(t, order="C") for n, t in tensors.items()}, temporary, metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> tuple[Encoder, dict[str, str]]:
    """Read an encoder that :func:`save` wrote.

    Returns:
        The model, and the file's metadata.

    Raises:
        ValueError: the file is damaged or is not an encoder of this library.
        FileNotFoundError: there is no such file.
    """
    params, metadata = _read(path, state=False)
    config = _config(EncoderConfig, path, metadata)
    expected = encoder.init_params(config, np.random.default_rng(0))
    return Encoder(config, _checked(path, params, expected)), metadata


def load_decoder(path: Path) -> tuple[Decoder, dict[str, str]]:
    """Read a decoder that :func:`save` wrote; see :func:`load`."""
    params, metadata = _read(path, state=False)
    config = _config(DecoderConfig, path, metadata)
    expected = decoder.init_params(config, np.random.default_rng(0))
    return Decoder(config, _checked(path, params, expected)), metadata


def load_state(path: Path) -> Params:
    """The arrays that :func:`save` was given as ``state``; empty if there were none.

    Raises:
        ValueError: the file is damaged.
        FileNotFoundError: there is no such file.
    """
    return _read(path, state=True)[0]


def optimizer_state(optimizer: Moments) -> Params:
    """All that an optimizer needs to go on: its running means, and how many steps it made."""
    state: Params = {"step_count": np.array(optimizer.step_count)}
    for name in optimizer.first:
        state[f"first.{name}"] = optimizer.first[name]
        state[f"second.{name}"] = optimizer.second[name]
    return state


def restore_optimizer(optimizer: Moments, state: Params) -> None:
    """Put :func:`optimizer_state` into an optimizer of the same parameters.

    Raises:
        ValueError: the state is of other parameters, or of none.
    """
    missing = {f"{k}.{n}" for k in ("first", "second") for n in optimizer.first} - state.keys()
    if missing or "step_count" not in state:
        raise ValueError(f"this is not a state of the optimizer: {min(missing or {'step_count'})}")
    for name in optimizer.first:
        optimizer.first[name][...] = state[f"first.{name}"]
        optimizer.second[name][...] = state[f"second.{name}"]
    optimizer.step_count = int(state["step_count"])


def _read(path: Path, state: bool) -> tuple[Params, dict[str, str]]:
    """The tensors of the model, or those of the state, and the metadata."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(_STATE) == state]  # noqa: SIM118
            tensors = {name.removeprefix(_STATE): file.get_tensor(name) for name in names}
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise _foreign(path, error) from error


def _config(kind: Callable[..., C], path: Path, metadata: dict[str, str]) -> C:
    try:
        return kind(**json.loads(metadata["config"]))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise _foreign(path, error) from error


def _foreign(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is not a checkpoint of this library: {error}")


def _checked(path: Path, params: Params, expected: Params) -> Params:
    """The parameters, in the order of a new model: sums over all of them depend on it."""
    for name in expected.keys() | params.keys():
        wanted = expected[name].shape if name in expected else "nothing"
        found = params[name].shape if name in params else "nothing"
        if wanted != found:
            raise ValueError(f"{path}: {name} should be {wanted} by its configuration: got {found}")
    return {name: params[name] for name in expected}
