"""Contrastive training of a sentence encoder, in one process or in many.

torchrun --nproc_per_node 2 -m groundup.embed.train contrast.json
"""

import copy
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from groundup.data.notices import Notice, issue_warning
from groundup.data.pairs import distinct
from groundup.data.texts import read_documents, read_json_file, read_pairs
from groundup.embed.backbone import has_adapters
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings, add_lora, merge_lora
from groundup.embed.objective import ContrastiveConfig, ContrastiveObjective
from groundup.lab.errors import GroundUpError, UserError
from groundup.lab.files import write_json
from groundup.train.config import LoopConfig
from groundup.train.loop import StepMetrics, fit


def gradient_error(
    encoder: SentenceEncoder, objective: ContrastiveObjective, rows: int = 64
) -> float:
    """How far the distributed gradient is from the one-process gradient of the full batch.

    Both are computed on a float64 copy for the first ``rows`` pairs of the first batch: once by all
    processes through DistributedDataParallel and
    :func:`~groundup.embed.distributed.all_gather`, once by this process alone.

    With several processes the last rows are left out where they can't share them equally.

    Returns:
        The relative error by norm over all trained parameters; rounding gives about 1e-15.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    many = state.num_processes > 1
    rows = min(rows, objective.config.batch_size) // state.num_processes * state.num_processes
    small = replace(
        objective,
        pairs=[objective.pairs[i] for i in objective.rows(0)[:rows]],
        config=replace(objective.config, batch_size=rows, neighbours=0.0),
    )
    alone = replace(small, collect=lambda own: own)

    def gradient(
        objective: ContrastiveObjective, rank: int, processes: int, distributed: bool
    ) -> Tensor:
        device = state.device if many else next(encoder.parameters()).device
        model: nn.Module = copy.deepcopy(encoder).to(device).double().eval()
        wrapped = DistributedDataParallel(model) if distributed else model
        batch = objective.batch(0, rank, processes)
        (objective.loss(wrapped, batch) / objective.count(batch)).backward()
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return torch.cat(grads)

    ours = gradient(small, state.process_index, state.num_processes, many)
    full = gradient(alone, 0, 1, False)
    return float((ours - full).norm() / full.norm())


def train_contrastive(
    config: ContrastiveConfig,
    on_step: Callable[[StepMetrics], None] | None = None,
    notice: Notice = issue_warning,
) -> dict[str, float]:
    """Train and save an encoder; every process of a group calls this with the same config.

    Args:
        config: of the run.
        on_step: called in process 0 after each step.
        notice: called with one line about pairs or texts that were left out on reading.

    Returns:
        gradient_error (see the function), pairs, repeated_pairs (left out, because a text of them
        is in another pair), steps, parameters trained and in all, seconds.

    Raises:
        UserError: the model or the pairs can't be read, or there are too few.
        WorkError: the loss, the gradient or the weights are no longer finite. Nothing is saved.
    """
    encoder = SentenceEncoder.load(Path(config.model))
    torch.manual_seed(config.seed)  # adapters begin alike in every process
    if config.lora:
        add_lora(encoder, config.lora)
    read = read_pairs(config.pairs, config.columns, encoding=config.encoding, notice=notice)
    pairs = distinct(read)
    texts = [document for _, document in pairs]
    if config.texts is not None:
        texts = read_documents(config.texts, encoding=config.encoding, notice=notice)
    objective = ContrastiveObjective(pairs, encoder, config, texts)
    state = PartialState(cpu=not torch.cuda.is_available())  # joins torchrun's group, if any
    gradient = gradient_error(encoder, objective)
    seconds = [0.0]

    def note(step: StepMetrics) -> None:
        seconds[0] = step.seconds
        if on_step:
            on_step(step)

    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    steps = fit(encoder, objective, config.loop, note)
    if config.merge and has_adapters(encoder.backbone):
        merge_lora(encoder)
    result = {
        "gradient_error": gradient,
        "pairs": float(len(pairs)),
        "repeated_pairs": float(len(read) - len(pairs)),
        "steps": float(steps),
        "trained": float(trained),
        "parameters": float(sum(p.numel() for p in encoder.parameters())),
        "processes": float(state.num_processes),
        "seconds": seconds[0],
    }
    if state.is_main_process:
        encoder.save(Path(config.output))
        write_json(Path(config.output).with_suffix(".json"), result)
    state.wait_for_everyone()
    return result


def save_config(config: ContrastiveConfig, path: Path) -> None:
    """Write a configuration for :func:`main` to read."""
    write_json(path, asdict(config))


def load_config(path: Path) -> ContrastiveConfig:
    """Read what :func:`save_config` wrote.

    Raises:
        UserError: the file is not such a configuration.
    """
    content: Any = read_json_file(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a JSON configuration: it holds no object")
    try:
        loop = LoopConfig(**_tuples(content.pop("loop")))
        lora = content.pop("lora", None)
        settings = LoraSettings(**_tuples(lora)) if lora else None
        return ContrastiveConfig(**_tuples(content), loop=loop, lora=settings)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def main() -> int:
    """Entry of each process: one line of JSON a step from process 0, for the caller."""
    from groundup.lab.library_logs import quiet_libraries
    from groundup.train.launch import send_message

    quiet_libraries()
    first = int(os.environ.get("RANK", "0")) == 0

    def note(message: str) -> None:
        print(f"note: {message}", file=sys.stderr)

    if len(sys.argv) != 2:
        print("usage: python -m groundup.embed.train CONFIG.json", file=sys.stderr)
        return 2
    try:
        config = load_config(Path(sys.argv[1]))
        result = train_contrastive(
            config, lambda step: send_message(vars(step)), note if first else lambda _: None
        )
    except GroundUpError as error:
        if first:
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if first:
        send_message(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
