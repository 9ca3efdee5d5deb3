"""A trained encoder on disk: safetensors, with its shape in the file's metadata."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from groundup.scratch.encoder import Encoder, EncoderConfig, init_params


def save(model: Encoder, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write the parameters and the configuration into one file, atomically.

    A reader sees the old file or the new one, never half of either.

    Args:
        model: what to save.
        path: where; folders on the way are made.
        notes: more strings to keep in the file's metadata.
    """
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"config": json.dumps(asdict(model.config)), **(notes or {})}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        # save_file writes memory as it lies: a transposed view would come back scrambled.
        params = {name: np.ascontiguousarray(value) for name, value in model.params.items()}
        save_file(params, temporary, metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> tuple[Encoder, dict[str, str]]:
    """Read what :func:`save` wrote.

    Returns:
        The model, and the file's metadata.

    Raises:
        ValueError: the file is damaged or is not an encoder of this library.
        FileNotFoundError: there is no such file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            params = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = EncoderConfig(**json.loads(metadata["config"]))
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a checkpoint of this library: {error}") from error
    expected = init_params(config, np.random.default_rng(0))
    for name in expected.keys() | params.keys():
        wanted = expected[name].shape if name in expected else "nothing"
        found = params[name].shape if name in params else "nothing"
        if wanted != found:
            raise ValueError(f"{path}: {name} should be {wanted} by its configuration: got {found}")
    return Encoder(config, params), metadata
