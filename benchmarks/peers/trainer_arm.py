"""`transformers`' own Trainer, on tokens in a file; run by a Python that has it (it imports nothing of ours).

PYTHON trainer_arm.py TOKENS.npy STEPS RESULT.json [--sequences 8] [--bf16] [--compile]
    [--lr 5e-5] [--warmup 0] [--save FOLDER]
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

LENGTH = 256


class Windows(Dataset):
    """Windows on a stream of tokens; the model shifts the labels by itself."""

    def __init__(self, path: str) -> None:
        self.tokens = np.load(path, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.tokens) // LENGTH

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        window = torch.from_numpy(self.tokens[number * LENGTH : (number + 1) * LENGTH].astype("int64"))
        return {"input_ids": window, "labels": window}


class Marks(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.at.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens")
    parser.add_argument("steps", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--warmup", type=int, default=0)
    parser.add_argument("--save", type=Path)
    given = parser.parse_args()
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, intermediate_size=640,
            vocab_size=4096, max_position_embeddings=LENGTH, tie_word_embeddings=False,
        )
    )  # fmt: skip
    more = {} if given.lr is None else {"learning_rate": given.lr}
    marks = Marks()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=given.sequences, max_steps=given.steps, save_strategy="no",
            report_to=[], use_cpu=True, bf16=given.bf16, torch_compile=given.compile, warmup_steps=given.warmup,
            disable_tqdm=True, **more,
        )  # fmt: skip
        Trainer(model=model, args=arguments, train_dataset=Windows(given.tokens), callbacks=[marks]).train()
    if given.save:
        model.save_pretrained(given.save)
    report.write(given.result, np.diff(marks.at).tolist())


if __name__ == "__main__":
    main()
