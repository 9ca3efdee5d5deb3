"""What each of two processes does for the doctor: join a group on gloo, and sum an array.

Run by :func:`groundup.doctor.torch_probes.measure_processes` through torchrun.
"""

import time
from datetime import timedelta

import torch
import torch.distributed as dist

from groundup.train.launch import send_message

NUMBERS = 1 << 18  # 1 MB of float32, about the gradients of the tour's model


def main() -> None:
    """Sum rank + 1 over the processes, and say what came out."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=20))
    rank, processes = dist.get_rank(), dist.get_world_size()
    dist.all_reduce(torch.zeros(1))  # connections are made on first use
    values = torch.full((NUMBERS,), float(rank + 1))
    begin = time.perf_counter()
    dist.all_reduce(values)
    took = 1e3 * (time.perf_counter() - begin)
    wrong = int((values != processes * (processes + 1) / 2).sum())
    send_message({"rank": rank, "wrong": wrong, "milliseconds": took})
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
