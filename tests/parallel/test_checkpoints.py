"""A checkpoint of one mesh goes on on any other, and is byte for byte that of one process."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.parallel.cases import train_one
from tests.parallel.ranks import on_ranks
from train.numerics import Held, Piece, Spread, TensorFile, begin_file, save_tensors, write_pieces

WORDS = ["optim.sequences_per_step=12", "parallel.sequences_per_device=12"]


def pieces(whole: torch.Tensor, rows: int, columns: int) -> list[Held]:
    """A matrix in blocks that differ in size."""
    found, top = [], 0
    for part in whole.tensor_split(rows, 0):
        left = 0
        for block in part.tensor_split(columns, 1):
            spans = slice(top, top + block.shape[0]), slice(left, left + block.shape[1])
            found.append(Held(block, Piece(tuple(whole.shape), spans)))
            left += block.shape[1]
        top += part.shape[0]
    return found


def test_pieces_make_the_file_that_one_process_writes(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(5, 7), "b": torch.arange(6.0).view(3, 2), "step": torch.tensor(3)}
    helds = {name: pieces(tensor, 3, 2) for name, tensor in tensors.items() if tensor.ndim}
    begun = False
    for number in range(6):
        spread = Spread(
            {name: held[number] for name, held in helds.items()}
            | {"step": Held(tensors["step"], Piece((), (), first=number == 0))}
        )
        if not begun:
            begin_file(tmp_path / "pieces", spread)
            begun = True
        write_pieces(tmp_path / "pieces", spread)
    save_tensors(tensors, tmp_path / "whole")
    file = TensorFile(tmp_path / "pieces")
    for name, tensor in tensors.items():
        assert torch.equal(file[name], tensor)
    assert torch.equal(file.read("a", Piece((5, 7), (slice(1, 4), slice(2, 3)))), tensors["a"][1:4, 2:3])
    assert (tmp_path / "pieces").stat().st_size == (tmp_path / "whole").stat().st_size


@pytest.mark.slow
def test_where_one_has_no_room_none_has_saved(tmp_path: Path) -> None:
    case = {"axes": {"shard": 2}, "folder": str(tmp_path)}
    said, left = on_ranks(2, "tests.parallel.cases:save_where_one_has_no_room", case)
    assert "another process could not save" in said
    assert left == []


@pytest.mark.slow
def test_any_number_of_processes_goes_on(tmp_path: Path) -> None:
    """In exact arithmetic, where every order of processes must end with the same bits."""

    def on(count: int, axes: dict[str, int], folder: str, until: int = 0) -> str:
        case: dict[str, Any] = {"axes": axes, "precision": "float64", "folder": str(tmp_path / folder), "words": WORDS}
        case["until"] = until
        return str(on_ranks(count, "tests.parallel.cases:train_all", [case])[0] if count > 1 else train_one(case))

    whole = on(1, {}, "whole")
    on(4, {"shard": 2, "tensor": 2}, "moving", until=1)
    first = (tmp_path / "moving" / "checkpoints" / "step-000000" / "optimizer.safetensors").read_bytes()
    assert first == (tmp_path / "whole" / "checkpoints" / "step-000000" / "optimizer.safetensors").read_bytes()
    on(3, {"shard": 3}, "moving", until=2)
    on(1, {}, "moving", until=3)
    assert on(2, {"context": 2}, "moving") == whole
    for name in ("model.safetensors", "optimizer.safetensors"):
        there, here = (tmp_path / run / "checkpoints" / "step-000004" / name for run in ("moving", "whole"))
        assert there.read_bytes() == here.read_bytes()
    on(1, {}, "back", until=2)
    assert on(4, {"replicate": 2, "shard": 2}, "back") == whole
