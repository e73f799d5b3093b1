"""Who may import whom, and which package has which door: read from the imports themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "train"

# Each room, and the rooms below it. `records` and `numerics` serve all.
BELOW = {
    "records": set(),
    "numerics": {"records"},
    "documents": set(),
    "tokens": {"documents"},
    "batches": {"tokens"},
    "model": set(),
    "loss": set(),
    "optim": set(),
    "cluster": set(),
    "parallel": {"cluster", "model", "loss", "optim"},
    "run": {"batches", "model", "loss", "optim", "parallel"},
    "hugging_face": {"model"},
    "evaluate": {"batches", "documents", "tokens", "model", "hugging_face", "run", "sample"},
    "index": {"tokens"},
    "tune": {"batches", "documents", "hugging_face", "loss", "model", "release", "tokens"},
    "libre": {
        *("batches", "config", "documents", "evaluate", "hugging_face", "index", "loss", "model", "optim", "release"),
        *("plan", "run", "sample", "scoring", "standards", "tokens", "training", "tune"),
    },
    "plan": {"batches", "loss", "model", "optim", "parallel", "run", "tokens"},
    "standards": set(),
    "sample": {"tokens", "model", "hugging_face"},
    "serve": {"documents", "libre", "model", "release", "sample", "tokens"},
    "release": {"documents", "hugging_face", "model", "run", "standards"},
    "config": {"batches", "documents", "tokens", "model", "optim", "parallel", "run", "tune", "evaluate", "release"},
    "scoring": {"batches", "documents", "evaluate", "index", "model", "tokens"},
    "training": {"batches", "config", "loss", "model", "parallel", "plan", "run", "tokens", "tune", "watching"},
    "watching": {"batches", "config", "documents", "evaluate", "model", "sample", "tokens"},
    "recipe": {
        *(
            "config",
            "documents",
            "tokens",
            "batches",
            "model",
            "parallel",
            "plan",
            "run",
            "evaluate",
            "sample",
            "release",
            "scoring",
            "standards",
            "training",
            "watching",
            "tune",
        ),
    },
    "verbs": {
        *("cluster", "training", "config", "plan", "recipe", "release", "run", "sample", "evaluate", "libre", "serve"),
    },
    "__main__": {"verbs"},
    "__init__": set(),
}
SERVES_ALL = {"records", "numerics", "train"}

# Third-party packages, and the only places that may import them.
DOORS = {
    "datasets": {"documents"},
    "pyarrow": {"documents"},
    "rensa": {"documents"},
    "py3langid": {"documents"},
    "license_expression": {"documents"},
    "tokenizers": {"tokens"},
    "sentencepiece": {"tokens"},
    "jinja2": {"tokens"},
    "peft": set(),  # tests alone
    "trl": set(),
    "hydra": {"config"},
    "omegaconf": {"config"},
    "lightning_fabric": {"run", "parallel"},
    "torchao": {"parallel"},
    "wandb": {"run"},
    "matplotlib": {"run"},
    "tqdm": {"run"},
    "transformers": {"hugging_face"},
    "gguf": {"hugging_face"},
    "lm_eval": {"evaluate"},
    "pydivsufsort": {"index"},
    "sacrebleu": {"evaluate"},
    "rouge_score": {"evaluate"},
    "jsonschema": {"release"},
    "rfc8785": {"records"},
    "psutil": {"numerics"},
    "yaml": {"config", "plan", "standards"},
    "packaging": {"release"},
    "securesystemslib": {"standards"},
    "cryptography": {"standards"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "anyio": {"serve"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"train.{alias.name}" for alias in node.names if node.module == "train" and alias.name[0] != "_"]
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in BELOW, f"{room} is a new room: say in BELOW what it may import"
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "train" and len(parts) > 1:
            assert parts[1] in BELOW[room] | SERVES_ALL | {room}, f"{path}: {room} may not import {parts[1]}"
            if parts[1] != room:
                assert len(parts) == 2, f"{path}: import the room train.{parts[1]}, not its file {module}"
        elif parts[0] in DOORS:
            assert room in DOORS[parts[0]], f"{path}: {parts[0]} has its door in {DOORS[parts[0]]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_and_functions_fit_one_head(path: Path) -> None:
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= 330
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name not in {"train", "model_card", "data_card"}:
            assert (node.end_lineno or 0) - node.lineno < 60, f"{path}:{node.lineno} {node.name}"


def test_nothing_is_unpickled() -> None:
    for path in FILES:
        source = path.read_text("utf-8")
        for word in ("import pickle", "torch.load(", "trust_remote_code=True", "extractall(", "yaml.load("):
            assert word not in source, f"{path}: {word}"


def test_no_registry_or_machine_is_named() -> None:
    tracked = [path for folder in ("train", "configs", "slurm", "docs") for path in (ROOT / folder).rglob("*.*")]
    for path in tracked:
        if path.suffix in {".py", ".yaml", ".md", ".sbatch", ".json"}:
            text = path.read_text("utf-8")
            for word in ("pypi.org", "files.pythonhosted", "registry.npmjs", "/home/", "/root/"):
                assert word not in text, f"{path}: {word}"
