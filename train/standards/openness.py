"""Two lists that a release is held against: mof.yml and the checklist of the Open Source AI Definition.

mof.yml: the Model Openness Framework of the Linux Foundation (White et al., 2024), its 17 components in the form that the
Model Openness Tool reads. The checklist: OSI, "The Open Source AI Definition 1.0", 2024. Both say where a thing lies; whether
it is what it should be is the audit's to say.
"""

from typing import Any

import yaml

from train.records import Json, base_of, printable

_SHAPES = {"bert": "encoder", "t5": "transformer encoder-decoder"}
_SOURCE = "recipe/source.tar"

# component: (what it is, where it lies in the release, which licence it is under)
_COMPONENTS = {
    "Model architecture": ("Code of the model's architecture", f"{_SOURCE}: train/model/", "code"),
    "Data preprocessing code": (
        "Code that reads, filters and encodes the texts",
        f"{_SOURCE}: train/documents/",
        "code",
    ),
    "Training code": ("Code of the training loop", f"{_SOURCE}: train/run/", "code"),
    "Inference code": ("Code that makes text with the model", f"{_SOURCE}: train/sample/", "code"),
    "Evaluation code": ("Code that measures the model", f"{_SOURCE}: train/evaluate/", "code"),
    "Supporting libraries and tools": ("Packages with versions and licences", "recipe/dependencies.json", "code"),
    "Model parameters (Final)": ("Trained weights", "model.safetensors", "weights"),
    "Model parameters (Intermediate)": ("Weights and optimizer on the way", "training/checkpoints/", "weights"),
    "Datasets": ("All training documents, and what was left out", "data/", "data"),
    "Evaluation data": ("The held-out documents", "data/documents-validation.parquet", "data"),
    "Model metadata": ("Digests, choices, cost, results", "release.json", "weights"),
    "Model card": ("What the model is and is not for", "README.md", "weights"),
    "Technical report": ("Not applicable: none was written beside the cards", "", "none"),
    "Research paper": ("Not applicable: none was written", "", "none"),
    "Evaluation results": ("Scores by document and author", "evaluation/results.json", "weights"),
    "Data card": ("Where the texts come from", "data/README.md", "weights"),
    "Sample model outputs": ("Text as training went on", "training/samples.md", "weights"),
}


def mof(record: Json, summary: Json) -> str:
    """mof.yml."""
    licences = {
        "code": (record["ingredients"]["code"]["licence"], "LICENSE"),
        "weights": (record["weights"]["licence"], "LICENSE" if record["weights"]["licence"] == "Apache-2.0" else ""),
        "data": (" AND ".join(summary["by"]["licence"]), "ATTRIBUTION.md"),
        "none": ("", ""),
    }
    base = base_of(record)
    components = [
        {
            "name": name,
            "description": what,
            "location": where,
            "license_name": licences[kind][0],
            "license_path": licences[kind][1],
        }
        for name, (what, where, kind) in _COMPONENTS.items()
    ]
    values: dict[str, Any] = {
        "framework": {"name": "Model Openness Framework", "version": "1.0", "date": "2024-12-15"},
        "release": {
            "name": record["name"],
            "version": record["version"],
            "date": record["date"],
            "type": "language",
            "architecture": _SHAPES.get(record["weights"]["family"], "transformer decoder"),
            "treatment": "pre-trained" if base is None else "fine-tuned",
            "origin": "trained from nothing" if base is None else f"tuned from {printable(str(base['release']))}",
            "producer": record["publisher"],
            "contact": record["contact"],
            "components": components,
        },
    }
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120))


def osaid(record: Json, recipe: Json, summary: Json) -> str:
    """standards/osaid.md: each thing that the definition asks for, and where it is."""
    code, weights = record["ingredients"]["code"], record["weights"]
    left_out = sum(summary["excluded"].values())
    rows = [
        ("Use, study, modify, share, for any purpose", f"weights {weights['licence']}, program {code['licence']}, nothing beside them: no gate"),
        ("Data: a complete description of all data used", f"`data/manifest.jsonl`: {summary['kept']} documents with author, date, licence, origin, digest; the texts themselves are here"),
        ("Data: provenance, scope and characteristics", "`data/README.md`, `data/summary.json`, counted from the documents"),
        ("Data: how they were obtained and selected", f"`recipe/config.yaml` (data), `data/excluded.jsonl`: {left_out} left out, each with rule and reason"),
        ("Data: labelling procedures", _labelling(recipe)),
        ("Data: processing and filtering methods", f"`{_SOURCE}`: train/documents/, train/tokens/"),
        ("Data: list of all publicly available data and where to obtain them", "`recipe/config.yaml` (data.sources), by package, version and sha256, or by revision"),
        ("Data: list of data obtainable from third parties", "not applicable: all of it is here"),
        ("Code: processing and filtering data", f"`{_SOURCE}`: train/documents/"),
        ("Code: training, with arguments and settings", f"`{_SOURCE}`: train/run/; `recipe/config.yaml`"),
        ("Code: validation and testing", f"`{_SOURCE}`: train/evaluate/"),
        ("Code: supporting libraries", "`recipe/dependencies.json`, `recipe/constraints.txt`, each with its licence"),
        ("Code: tokenizer and its hyperparameters", f"`{_SOURCE}`: train/tokens/; `recipe/config.yaml` (tokenizer); `tokenizer.json`"),
        ("Code: inference", f"`{_SOURCE}`: train/sample/"),
        ("Code: model architecture", f"`{_SOURCE}`: train/model/"),
        ("Code: available under OSI-approved licences", str(code["licence"])),
        ("Parameters: final weights", f"`model.safetensors`, {weights['parameters']:,} parameters"),
        ("Parameters: checkpoints and optimizer state of key stages", "`training/checkpoints/`"),
        ("Parameters: available under OSI-approved terms", str(weights["licence"])),
    ]  # fmt: skip
    table = "\n".join(f"| {asked} | {_cell(found)} |" for asked, found in rows)
    return f"""# Open Source AI Definition 1.0: checklist

What the definition asks of a system, and where this release has it. `python -m train audit` says what of it holds.

| asked | found |
|---|---|
{table}
"""


def _labelling(recipe: Json) -> str:
    if recipe.get("tune", {}).get("name") in {"tag", "classify", "extract"}:
        return "the labels came with the documents, and stand in them (`data/`): who gave them, and how, is in `data/README.md` as far as it was told"
    return "not applicable: nothing was labelled"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|")
