"""litgpt's own `pretrain`, on tokens in a file; run by a Python that has litgpt (it imports nothing of ours).

    PYTHON litgpt_arm.py TOKENS.npy STEPS RESULT.json [--sequences 8] [--precision bf16-mixed|32-true] [--save FOLDER]

Without --precision litgpt chooses, as it does for its users. Its optimizer is its default, AdamW at torch's 0.001.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import litgpt.pretrain
import numpy as np
import report
import torch
from litgpt import Config
from litgpt.args import EvalArgs, LogArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.scripts.convert_lit_checkpoint import copy_weights_llama
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset

LENGTH = 256
SHAPE = {"n_layer": 4, "n_head": 4, "n_embd": 256, "intermediate_size": 640, "vocab_size": 4096, "block_size": LENGTH}


class Windows(Dataset):
    """Windows on a stream of tokens, and when each batch was asked for."""

    def __init__(self, path: str) -> None:
        self.tokens, self.asked = np.load(path, mmap_mode="r"), []

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // LENGTH

    def __getitem__(self, number: int) -> torch.Tensor:
        self.asked.append(time.perf_counter())
        return torch.from_numpy(self.tokens[number * LENGTH : (number + 1) * LENGTH + 1].astype("int64"))


class Text(DataModule):
    """The windows, shuffled."""

    def __init__(self, path: str, at_once: int) -> None:
        super().__init__()
        self.windows, self.at_once = Windows(path), at_once

    def connect(self, *_: Any, **__: Any) -> None:
        pass

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.windows, batch_size=self.at_once, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.utils.data.Subset(self.windows, range(self.at_once)), batch_size=self.at_once)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens")
    parser.add_argument("steps", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--precision")
    parser.add_argument("--save", type=Path)
    given = parser.parse_args()
    sys.argv[1:] = ["peer"]  # litgpt reads the command line once more when it saves
    config = Config(
        name="peer", mlp_class_name="LLaMAMLP", norm_class_name="RMSNorm", bias=False, parallel_residual=False,
        rotary_percentage=1.0, padded_vocab_size=4096, rope_base=10000, **SHAPE,
    )  # fmt: skip
    data = Text(given.tokens, given.sequences)
    weights: dict[str, torch.Tensor] = {}
    litgpt.pretrain.save_checkpoint = lambda fabric, state, *_: weights.update(state["model"].state_dict())
    with tempfile.TemporaryDirectory() as folder:
        litgpt.pretrain.setup(
            model_name="peer", model_config=config, out_dir=Path(folder), precision=given.precision, data=data,
            train=TrainArgs(
                save_interval=10**9, log_interval=10,
                global_batch_size=given.sequences * given.accumulate, micro_batch_size=given.sequences,
                max_tokens=given.steps * given.sequences * LENGTH, max_norm=1.0, min_lr=4e-5,
                lr_warmup_steps=min(given.warmup, given.steps // given.accumulate // 2),
            ),
            eval=EvalArgs(interval=10**9, max_iters=1), log=LogArgs(), devices=1, logger_name="csv",
        )  # fmt: skip
    if given.save:
        save(weights, config, given.save)
    marks = data.windows.asked[
        given.sequences :: given.sequences
    ]  # the first batch is the check that litgpt makes beforehand
    report.write(given.result, np.diff(marks).tolist())


def save(state: dict[str, torch.Tensor], config: Config, folder: Path) -> None:
    """In Hugging Face's format."""
    theirs: dict[str, torch.Tensor] = {}
    copy_weights_llama(config, theirs, state)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in theirs.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(
        json.dumps({
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 64, "intermediate_size": 640,
            "vocab_size": 4096, "max_position_embeddings": LENGTH, "rms_norm_eps": config.norm_eps,
            "rope_theta": 10000.0, "tie_word_embeddings": False, "hidden_act": "silu",
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
