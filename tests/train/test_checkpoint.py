"""States on disk: whole or not there, the newest kept, tied weights and moments restored."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from groundup.train import checkpoint


class Tied(nn.Module):
    """An embedding whose table is also the last map, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.out = nn.Linear(3, 5, bias=False)
        self.out.weight = self.table.weight
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, ids):
        self.seen += 1
        return self.out(self.table(ids)).square().sum()


def trained(steps: int) -> tuple[Tied, torch.optim.AdamW]:
    torch.manual_seed(0)
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.arange(5)).backward()
        optimizer.step()
    return model, optimizer


def test_restored_goes_on_the_same(tmp_path):
    model, optimizer = trained(3)
    checkpoint.save(tmp_path, model, optimizer, 3, 1.5)
    again, fresh = trained(0)
    assert checkpoint.restore(tmp_path, again, fresh) == (3, 1.5)
    assert again.out.weight is again.table.weight
    for m, o in ((model, optimizer), (again, fresh)):
        o.zero_grad()
        m(torch.arange(5)).backward()
        o.step()
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(
        fresh.state_dict()["state"], optimizer.state_dict()["state"], rtol=0, atol=0
    )


def test_without_moments_it_would_not_be_the_same(tmp_path):
    model, optimizer = trained(3)
    again, fresh = trained(0)
    again.load_state_dict(model.state_dict())
    for m, o in ((model, optimizer), (again, fresh)):
        o.zero_grad()
        m(torch.arange(5)).backward()
        o.step()
    assert not torch.allclose(again.table.weight, model.table.weight)


def test_no_pickle(tmp_path):
    model, optimizer = trained(1)
    state = checkpoint.save(tmp_path, model, optimizer, 1, 0.0)
    names = {"weights.safetensors", "optimizer.safetensors", "position.json"}
    assert {p.name for p in state.iterdir()} == names
    with safe_open(state / "optimizer.safetensors", "pt") as file:
        keys = ["exp_avg", "exp_avg_sq", "step"]
        assert sorted(file.keys()) == [f"table.weight|{key}" for key in keys]


def test_old_states_are_deleted_and_order_is_by_number(tmp_path):
    model, optimizer = trained(1)
    for step in (5, 9, 10, 100):
        checkpoint.save(tmp_path, model, optimizer, step, 0.0)
    assert [p.name for p in checkpoint.saved_states(tmp_path)] == ["step-00000010", "step-00000100"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]


def test_half_written_states_are_ignored(tmp_path):
    model, optimizer = trained(1)
    checkpoint.save(tmp_path, model, optimizer, 4, 0.0)
    for name in (".step-00000006.0123abcd.tmp", "step-00000008", "step-12", "step-00000009.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(b"half")
    (tmp_path / "step-00000008" / "position.json").write_text('{"step": 8')
    again, fresh = trained(0)
    assert checkpoint.restore(tmp_path, again, fresh) == (4, 0.0)


def test_a_failure_while_writing_leaves_the_old_states(tmp_path, monkeypatch):
    model, optimizer = trained(1)
    for step in (1, 2):
        checkpoint.save(tmp_path, model, optimizer, step, 0.0)
    before = sorted(p.name for p in tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "write_json", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, model, optimizer, 3, 0.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_the_same_step_is_replaced(tmp_path):
    model, optimizer = trained(1)
    checkpoint.save(tmp_path, model, optimizer, 1, 0.0)
    with torch.no_grad():
        model.table.weight.fill_(7)
    checkpoint.save(tmp_path, model, optimizer, 1, 0.0)
    again, fresh = trained(0)
    checkpoint.restore(tmp_path, again, fresh)
    assert float(again.table.weight.detach().min()) == 7


def test_nothing_to_restore(tmp_path):
    model, optimizer = trained(0)
    assert checkpoint.restore(tmp_path, model, optimizer) == (0, 0.0)
    assert checkpoint.restore(Path(tmp_path / "missing"), model, optimizer) == (0, 0.0)
