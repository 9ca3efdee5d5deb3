"""Two processes against one: gradients compared, results as JSON; at last, a run that diverges.

embed_ranks.py FOLDER, which holds pairs.json, the encoder, and contrast.json and wild.json.
"""

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from groundup.embed import train
from groundup.embed.distributed import all_gather, row_offset
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.lora import LoraSettings, add_lora
from groundup.embed.losses import info_nce
from groundup.embed.objective import ContrastiveObjective
from groundup.embed.train import gradient_error, load_config, train_contrastive
from groundup.lab.errors import UserError
from groundup.lab.files import read_json


def detached(rows: Tensor) -> Tensor:
    """The wrong gather: the others' rows are constants."""
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.detach())
    parts[dist.get_rank()] = rows
    return torch.cat(parts)


def torch_gather(rows: Tensor) -> Tensor:
    """torch's own, as another oracle."""
    import torch.distributed.nn.functional as nn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cat(nn.all_gather(rows))


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def gradients() -> dict[str, float]:
    """InfoNCE through one shared matrix: mean of the processes' gradients against the full one."""
    generator = torch.Generator().manual_seed(0)
    q, d = torch.randn(2, 6, 5, dtype=torch.float64, generator=generator)
    start = torch.randn(5, 4, dtype=torch.float64, generator=generator)
    rank, processes = dist.get_rank(), dist.get_world_size()
    mine = torch.arange(6).chunk(processes)[rank]

    weight = start.clone().requires_grad_()
    info_nce(q @ weight, d @ weight, 0.1).backward()
    full = gradient(weight)

    def ours(collect: Callable[[Tensor], Tensor], first: int, scale: float = 1.0) -> float:
        weight = start.clone().requires_grad_()
        loss = info_nce(q[mine] @ weight, collect(d[mine] @ weight), 0.1, first)
        (loss * scale).backward()
        found = gradient(weight)
        dist.all_reduce(found)
        return relative(found / processes, full)

    right = rank * len(mine)
    assert row_offset(len(mine)) == right
    return {
        "exact": ours(all_gather, right),
        "torch": ours(torch_gather, right),
        "detached": ours(detached, right),
        "detached_scaled": ours(detached, right, float(processes)),
        "no_offset": ours(all_gather, 0),
    }


def forward_is_rank_order() -> bool:
    rank = dist.get_rank()
    rows = torch.full((2, 3), float(rank)).T.contiguous().T  # not contiguous
    return all_gather(rows)[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]


def others_gradient() -> list[float]:
    """gather(x) + z: addition hands both the very same gradient tensor."""
    x = torch.ones(1, 1, requires_grad=True)
    z = torch.zeros(2, 1, requires_grad=True)
    (all_gather(x) + z).sum().backward()
    return [float(gradient(x)), *gradient(z).flatten().tolist()]


def main() -> None:
    folder = Path(sys.argv[1])
    dist.init_process_group("gloo")
    config = load_config(folder / "contrast.json")
    pairs = [(q, d) for q, d in read_json(Path(config.pairs))]
    encoder = SentenceEncoder.load(Path(config.model))
    objective = ContrastiveObjective(pairs, encoder, config)
    result = {
        "gradients": gradients(),
        "order": forward_is_rank_order(),
        "others": others_gradient(),
        "contrast": gradient_error(encoder, objective),
        "contrast_odd": gradient_error(encoder, objective, rows=5),
    }
    objective.collect = detached
    result["contrast_detached"] = gradient_error(encoder, objective)
    objective.collect = all_gather
    add_lora(encoder, LoraSettings(rank=2))
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:  # at zero, A would have no gradient
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    result["contrast_lora"] = gradient_error(encoder, objective)
    odd = ContrastiveObjective(pairs, encoder, replace(config, batch_size=7))
    try:
        odd.batch(0, dist.get_rank(), dist.get_world_size())
    except UserError as error:
        result["unequal"] = str(error)
    result["train"] = train_contrastive(config)
    if dist.get_rank() == 0:
        (folder / "result.json").write_text(json.dumps(result))
    dist.barrier()
    # The command itself, which ends the group and prints its steps.
    sys.argv = ["train", str(folder / "wild.json")]
    assert train.main() == 1


if __name__ == "__main__":
    main()
