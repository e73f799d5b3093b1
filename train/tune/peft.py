"""Adapters in the format of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors."""

from pathlib import Path

from train.model import T5, LanguageModel
from train.numerics import save_tensors
from train.records import write_json
from train.tune.adapters import adapted, their_modules
from train.tune.config import TuneConfig


def save_adapter(model: LanguageModel, config: TuneConfig, base: str, folder: Path) -> None:
    """Write the adapters of `model` to `folder`; `base` names the model that they belong to."""
    tensors, places, turned = {}, their_modules(model), False
    for name, layer in adapted(model).items():
        theirs, turns = places[name]
        where, turned = f"base_model.model.{theirs}", turned or turns
        tensors[f"{where}.lora_A.weight"], tensors[f"{where}.lora_B.weight"] = layer.adapter_a, layer.adapter_b
        if layer.magnitude is not None:
            tensors[f"{where}.lora_magnitude_vector"] = layer.magnitude
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(
        {name: tensor.detach().float() for name, tensor in tensors.items()}, folder / "adapter_model.safetensors"
    )
    modules = {".".join(places[name][0].split(".")[-2:]) for name in adapted(model)}
    about = {
        "peft_type": "LORA",
        "task_type": "SEQ_2_SEQ_LM" if isinstance(model, T5) else "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "use_dora": config.dora,
        "target_modules": sorted(modules),
        "fan_in_fan_out": turned,
        "bias": "none",
        "inference_mode": True,
    }
    write_json(folder / "adapter_config.json", about)
