"""Put a release together: everything is written beside it under another name, sealed, and appears as a whole."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from train import __version__
from train.documents import SPLITS, documents_file
from train.hugging_face import About, to_gguf, to_hugging_face
from train.model import LanguageModel
from train.numerics import digest_tensors
from train.records import BadInput, Json, digest_file, write_atomically, write_json
from train.release.cards import attribution, data_card, model_card
from train.release.configs import ReleaseConfig
from train.release.dependencies import dependencies
from train.release.manifest import seal, unlike_schema
from train.release.source import shipped, write_source
from train.run import CHECKPOINT_FILES, list_checkpoints
from train.standards import build_record, croissant, eu_summary, mof, osaid, read_key, reuse, sign, spdx

# Of the results, what release.json says.
_STATED = ("bits_per_byte", "base", "labels", "verbatim", "overlap", "bias", "task", "tasks", "seeds")


@dataclass(kw_only=True, frozen=True)
class Ingredients:
    """What a release is made of. `recipe` is the resolved config, `recipe_yaml` the same as text; `beside`: files that
    go in as they are, by their names there."""

    name: str
    run_folder: Path
    model: LanguageModel
    config: ReleaseConfig
    recipe: dict[str, Any]
    recipe_yaml: str
    config_digest: str
    summary: Json
    tokens: Json
    results: Json
    cost: Json
    order: Json
    choices: list[dict[str, Any]]
    machine_choices: Json
    environment: Json
    chain: str
    sample: str
    special_tokens: Mapping[str, int]
    lineage: list[dict[str, str]]
    beside: Mapping[str, Path]


def publish(parts: Ingredients, folder: Path, note: Callable[[str], object] = lambda _: None) -> dict[str, Any]:
    """Write the release to `folder`; returns its release.json. A release that stood there is replaced; what was said
    of it stays, and names its digest.
    """
    if any((folder / "attest" / "withdrawals").glob("*.json")):
        raise BadInput(
            f"{folder}: texts were withdrawn from it; it is not made again from documents that hold them. "
            "python -m train remake makes it without them"
        )
    draft, old = folder.with_name(f".{folder.name}.tmp"), folder.with_name(f".{folder.name}.old.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        note("weights")
        to_hugging_face(parts.model, draft, parts.special_tokens)
        _copy(parts.run_folder / "tokens", draft, ["tokenizer.json", "tokenizer_config.json"])
        if parts.config.gguf:
            to_gguf(parts.model, draft, draft / "model.gguf", _about(parts))
        for name, path in parts.beside.items():
            (draft / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, draft / name)
        note("data")
        _copy_data(parts, draft / "data")
        note("training")
        _copy_training(parts, draft / "training")
        note("recipe")
        code = _write_recipe(parts, draft / "recipe")
        used = dependencies(parts.environment["accelerator"])
        write_json(draft / "recipe" / "dependencies.json", used)
        write_json(draft / "evaluation" / "results.json", parts.results)
        record = _record(parts, code)
        note("cards")
        _write_cards(parts, record, draft)
        note("standards")
        _write_standards(parts, record, used["packages"], draft)
        assert not (wrong := unlike_schema(record | {"digest": "0" * 64})), wrong
        key = read_key(parts.config.sign) if parts.config.sign else None
        signing = None if key is None else lambda statement: sign(statement, key)
        for said in ("rebuilds", "audits", "evaluations"):
            if (folder / "attest" / said).is_dir():
                shutil.copytree(folder / "attest" / said, draft / "attest" / said)
        sealed = seal(draft, record, lambda whole: build_record(whole, parts.recipe, used["packages"]), signing)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        return sealed
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _about(parts: Ingredients) -> About:
    """What the GGUF file says of its origin."""
    data = parts.recipe["data"]
    return About(
        name=parts.name,
        version=parts.config.version,
        author=parts.config.publisher,
        licence=parts.config.weights_licence.lower(),
        description=parts.config.purpose,
        languages=tuple(sorted(parts.summary["by"]["language"])),
        source="the release beside this file: documents, recipe and weights are tied together in its release.json",
        datasets=tuple(
            (
                f"{data['name']}: {name}",
                f"{s['kind']}:{s['package'] or s['path']} {s['version'] or s['revision']}".strip(),
            )
            for name, s in data["sources"].items()
        ),
    )


def _copy(source: Path, target: Path, names: list[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(source / name, target / name)


def _copy_data(parts: Ingredients, target: Path) -> None:
    source = parts.run_folder / "documents"
    names = [documents_file(source, split).name for split in SPLITS]
    _copy(source, target, [*names, "manifest.jsonl", "excluded.jsonl", "summary.json"])


def _copy_training(parts: Ingredients, target: Path) -> None:
    """Metrics, plots, samples, the chain, and the checkpoints without what later steps made of them."""
    _copy(parts.run_folder, target, ["metrics.jsonl", "chain.jsonl"])
    extra = ["loss.png", "speed.png", "samples.md", "roundings.jsonl"]
    _copy(parts.run_folder, target, [name for name in extra if (parts.run_folder / name).is_file()])
    for checkpoint in list_checkpoints(parts.run_folder / "checkpoints"):
        _copy(checkpoint, target / "checkpoints" / checkpoint.name, list(CHECKPOINT_FILES))


def _write_recipe(parts: Ingredients, target: Path) -> dict[str, Any]:
    with write_atomically(target / "config.yaml") as file:
        file.write(parts.recipe_yaml)
    shutil.copyfile(shipped("constraints.txt"), target / "constraints.txt")
    return write_source(target / "source.tar")


def _record(parts: Ingredients, code: dict[str, Any]) -> dict[str, Any]:
    """release.json: the one source, of which every card is an export."""
    summary, weights = parts.summary, dict(parts.model.named_parameters())
    return {
        "format": "fusee-release-1",
        "name": parts.name,
        "version": parts.config.version,
        "date": datetime.now(UTC).date().isoformat(),
        "made_by": f"fusee {__version__}",
        "publisher": parts.config.publisher,
        "contact": parts.config.contact,
        "lineage": parts.lineage,
        "ingredients": {
            "documents": {
                "digest": summary["documents_digest"], "count": summary["kept"], "bytes": summary["kept_bytes"],
            },
            "excluded": {"digest": summary["excluded_digest"], "count": sum(summary["excluded"].values())},
            "tokenizer": {
                "digest": parts.tokens["tokenizer"],
                "vocab_size": parts.recipe["tokenizer"]["vocab_size"],
                "bytes_per_token": parts.tokens["train"]["bytes_per_token"],
            },
            "tokens": {split: {key: parts.tokens[split][key] for key in ("digest", "tokens")} for split in SPLITS},
            "config": {"digest": parts.config_digest},
            "order": dict(parts.order),
            "code": code,
        },
        "weights": {
            "digest": digest_tensors(weights),
            "parameters": sum(p.numel() for p in parts.model.parameters()),
            "family": parts.recipe["model"]["name"],
            "licence": parts.config.weights_licence,
            "chain": parts.chain,
        },
        "choices": parts.choices,
        "cost": dict(parts.cost),
        "results": {name: parts.results[name] for name in _STATED if name in parts.results},
        "numerics": {"name": parts.recipe["numerics"]["name"], **parts.machine_choices},
        "environment": dict(parts.environment),
        "withdrawals": [],
    }  # fmt: skip


def _write_cards(parts: Ingredients, record: dict[str, Any], draft: Path) -> None:
    shutil.copyfile(shipped("LICENSE"), draft / "LICENSE")
    cards = {
        "README.md": model_card(record, parts.recipe, parts.summary, parts.sample, parts.config),
        "ATTRIBUTION.md": attribution(parts.run_folder / "documents" / "manifest.jsonl"),
        "data/README.md": data_card(record, parts.recipe, parts.summary, parts.config),
    }
    _write(draft, cards)


def _write_standards(parts: Ingredients, record: dict[str, Any], packages: list[dict[str, str]], draft: Path) -> None:
    """release.json and the recipe again, in the words of others."""
    recipe, summary = parts.recipe, parts.summary
    tables = [f"data/{documents_file(draft, split).name}" for split in SPLITS]
    files = {name: digest_file(draft / name) for name in tables}
    write_json(draft / "standards" / "croissant.json", croissant(record, recipe, summary, files))
    write_json(draft / "standards" / "spdx.json", spdx(record, recipe, summary, packages))
    texts = {
        "standards/eu-summary.md": eu_summary(record, recipe, summary),
        "standards/osaid.md": osaid(record, recipe, summary),
        "standards/mof.yml": mof(record, summary),
        **reuse(record, summary, (draft / "LICENSE").read_text("utf-8")),
    }
    _write(draft, texts)


def _write(draft: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        assert "[More Information Needed]" not in text
        with write_atomically(draft / name) as file:
            file.write(text)
