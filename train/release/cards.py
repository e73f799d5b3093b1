"""The model card, the data card and the attribution: written from release.json and the config, every field filled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.records import Json, base_of, printable
from train.release.configs import ReleaseConfig
from train.release.lineage import origin, schooling, told
from train.release.markdown import table, text
from train.release.scores import how_good

_HUB_LICENCES = {"Apache-2.0": "apache-2.0", "CC0-1.0": "cc0-1.0", "CC-BY-4.0": "cc-by-4.0"}
_TASKS = {
    "causal": "text-generation",
    "permutation": "text-generation",
    "masked": "fill-mask",
    "span_corruption": "text2text-generation",
}
_SHAPE = ("n_layers", "n_decoder_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_ff", "seq_len")


def _usage(recipe: Json) -> str:
    """A few lines of Python that make the model speak."""
    prompt = (recipe["run"]["prompts"] or ["The"])[0]
    if recipe["objective"]["name"] == "span_corruption":
        asked = json.dumps(prompt if "tune" in recipe else f"{prompt} <extra_id_0>", ensure_ascii=False)
        return f"""from transformers import AutoTokenizer, T5ForConditionalGeneration

folder = "path/to/this/folder"
model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
print(tokenizer.decode(model.generate(**tokenizer({asked}, return_tensors="pt"))[0]))"""
    if recipe["objective"]["name"] == "masked":
        asked = json.dumps(f"{prompt} {recipe['tokenizer']['mask_token']}.", ensure_ascii=False)
        return f"""from transformers import pipeline

fill = pipeline("fill-mask", model="path/to/this/folder")
print(fill({asked})[0]["sequence"])"""
    asked = json.dumps(prompt, ensure_ascii=False)
    if "tune" in recipe:
        return f"""from transformers import pipeline

speak = pipeline("text-generation", model="path/to/this/folder")
said = speak([{{"role": "user", "content": {asked}}}], max_new_tokens=40)
print(said[0]["generated_text"][-1]["content"])"""
    return f"""from transformers import pipeline

speak = pipeline("text-generation", model="path/to/this/folder")
print(speak({asked}, max_new_tokens=40)[0]["generated_text"])"""


_PIPELINES = {  # of an encoder that labels what it reads: Hugging Face's name for it, and how it is asked
    "tag": ("token-classification", """print([(word["word"], word["entity"]) for word in label("Cats sleep.")])"""),
    "classify": ("text-classification", """print(label("What is this about?"))"""),
    "extract": ("question-answering", """print(label(question="How much?", context="It costs 12 euros.")["answer"])"""),
}


def _labelling(recipe: Json) -> tuple[str, str]:
    """The task's name there, and the lines of Python that use it; ("", "") for a model that speaks."""
    name, asked = _PIPELINES.get(recipe.get("tune", {}).get("name", ""), ("", ""))
    code = f"""from transformers import pipeline

label = pipeline("{name}", model="path/to/this/folder")
{asked}"""
    return (name, code) if name else ("", "")


def _front_matter(values: Mapping[str, Any]) -> str:
    """YAML whose values are JSON, which YAML reads as it is."""
    lines = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    return f"---\n{lines}\n---\n"


def model_card(record: Json, recipe: Json, summary: Json, sample: str, config: ReleaseConfig) -> str:
    """README.md of a release, with the Hub's front matter."""
    model, cost, data = recipe["model"], record["cost"]["outcome"], recipe["data"]
    front = _front_matter(
        {
            "license": _HUB_LICENCES.get(config.weights_licence, "other"),
            "language": sorted(summary["by"]["language"]),
            "library_name": "transformers",
            "pipeline_tag": _labelling(recipe)[0] or _TASKS[recipe["objective"]["name"]],
            "tags": ["fusee", "libre", record["weights"]["family"]],
        }
    )
    shape = table(
        ("", ""),
        [(key, model[key]) for key in _SHAPE if key in model]
        + [("vocabulary", model["vocab_size"]), ("parameters", f"{record['weights']['parameters']:,}")],
    )
    choices = table(
        ("choice", "value", "reason"), [(text(c["key"]), text(c["value"]), text(c["why"])) for c in record["choices"]]
    )
    again = table(
        ("machine", "hours", "kWh", "euros"),
        [
            (text(m["machine"]), f"{m['hours']:.4f}", f"{m['kwh']:.4f}", f"{m['eur']:.4f}")
            for m in record["cost"]["again"]["machines"]
        ],
    )
    return f"""{front}
# {text(record["name"])}, version {text(record["version"])}

A language model of the {record["weights"]["family"]} family with {record["weights"]["parameters"]:,} parameters,
{origin(record)} on {summary["by"]["split"]["train"]["documents"]} documents ({summary["by"]["split"]["train"]["bytes"]:,} bytes), measured on {summary["by"]["split"]["validation"]["documents"]} others; all are in this folder.
Data, recipe and weights are published together: `release.json` holds the digests that tie them.

Published by {text(config.publisher)}. Contact: {text(config.contact)}.

{told(record)}## What it is for

{config.purpose}

## What it is not for

{config.not_for}

## What to beware of

{data["warning"] or "Nobody has yet looked at these texts for what they would teach a model to say."}

The model repeats names and passages of its training text. {schooling(record)}; what it says is neither true nor anybody's opinion.

## Use it

```python
{_labelling(recipe)[1] or _usage(recipe)}
```

{"A held-out example" if _labelling(recipe)[0] else 'or `python -m train generate path/to/this/folder "..."`. A sample'}, as it came:

> {text(sample)}

## How good it is

{how_good(record["results"])}

## How it was made

{shape}

{cost["tokens"]:,} tokens ({cost["epochs"]} epochs) in {cost["training_seconds"]} s of training, {cost["flops"]:.3g}
floating-point operations, peak memory {cost["peak_memory_gb"]} GB, on: {text(record["environment"]["processor"])},
{record["environment"]["cores"]} cores. From documents to release: {cost["seconds"]} s, {record["cost"]["attempts"]}
start(s). Runs that came before it, as trials: {text(config.trials)}. Forecast before the run: {record["cost"]["forecast"]["training_seconds"]} s of training.
Electricity {cost["kwh"]:.4f} kWh, {cost["kg_co2e"]:.4f} kg CO2e, {cost["eur"]:.4f} euros; {cost["energy"]}.

To do the training again:

{again}

Arithmetic: {text(record["numerics"]["name"])} ({text(record["numerics"]["precision"])}; {text(record["numerics"]["why"])}).

{choices}

Everything else stands in `recipe/config.yaml`, where no default is implicit; the code is `recipe/source.tar`.

## Licence

Weights: {text(config.weights_licence)}. Code: Apache-2.0. Documents: see `data/README.md` and `ATTRIBUTION.md`.
"""


def data_card(record: Json, recipe: Json, summary: Json, config: ReleaseConfig) -> str:
    """data/README.md: what went in, from whom, what was left out and why."""
    data = recipe["data"]

    def counted(kind: str) -> str:
        rows = [(text(value), c["documents"], f"{c['bytes']:,}") for value, c in summary["by"][kind].items()]
        return table((kind, "documents", "bytes"), rows)

    sources = table(
        ("source", "licence", "basis", "sha256"),
        [
            (text(f"{s['kind']}:{s['package'] or s['path']} {s['version'] or s['revision']}"), text(s["licence"]),
             text(s["licence_basis"]), s["sha256"] or "see manifest.jsonl")
            for s in data["sources"].values()
        ],
    )  # fmt: skip
    rules = data["rules"]
    left_out = table(("rule", "documents left out"), sorted(summary["excluded"].items())) if summary["excluded"] else ""
    tokens = record["ingredients"]["tokenizer"]["bytes_per_token"]
    density = [(kind, text(value), number) for kind, row in tokens.items() for value, number in row.items()]
    personal = ", ".join(f"{kind} {count}" for kind, count in summary["personal_data"].items()) or "none found"
    front = _front_matter({"language": sorted(summary["by"]["language"]), **_licences(summary)})
    return f"""{front}
# Data: {text(data["name"])}

{data["description"]}

{summary["seen"]} documents were read, {summary["kept"]} kept ({summary["kept_bytes"]:,} bytes),
{sum(summary["excluded"].values())} left out. Each is listed: `manifest.jsonl` (with author, date, licence, origin and
digest), `excluded.jsonl` (with the rule and the reason). The texts are in `documents-train.parquet` and
`documents-validation.parquet`.

## Where they come from

{sources}

## What to beware of

{data["warning"] or "Nobody has yet looked at these texts for what they would teach a model to say."}

## Who wrote them

{counted("author")}

## When, in what language, under which licence

{counted("decade")}

{counted("language")}

{counted("licence")}

## How they were split

A document is for validation if the first 8 hexadecimal digits of its sha256, as a number, are divisible by 14; this is
decided before any rule, and adding a document moves no other.

{counted("split")}

## What was left out

The rules, in order: select, encoding (the source); exclude, licence (allowed: {", ".join(rules["licences"])}), length
({rules["min_bytes"]:,} to {rules["max_bytes"]:,} bytes), control characters, language
({", ".join(rules["languages"]) or "all"}), personal data (more than {rules["max_personal_data"]} items), duplicate,
near-duplicate (similarity of at least {rules["near_duplicate_similarity"]}).

{left_out or "Nothing."}

Items that look like personal data in what was kept: {personal}. The patterns find e-mail addresses, telephone numbers,
bank accounts, payment cards and keys; names of persons they do not find, and these texts are full of them.

## Bytes per token

{table(("by", "", "bytes per token"), density)}

## To object

An author, or somebody who is spoken of, writes to: {text(config.contact)}, and says which text and why. The publisher
then runs `python -m train withdraw RELEASE --text id=... --why ...` on this release and on those made from it: the text
leaves the folder, its digest and a dated statement stay (`attest/withdrawals/`), and every audit says from then on that
the weights still hold it, and at which steps they learned from it. `python -m train remake RELEASE --out DIR` makes the
model again without it. Whoever has a copy of this folder is not reached by that: they must be told.
"""


def _licences(summary: Json) -> dict[str, Any]:
    """The Hub's names, and the SPDX names where it has none."""
    names = list(summary["by"]["licence"])
    if len(names) == 1 and names[0] in _HUB_LICENCES:
        return {"license": _HUB_LICENCES[names[0]]}
    return {"license": "other", "license_name": ", ".join(names)}


def attribution(manifest: Path) -> str:
    """ATTRIBUTION.md: the author, title, licence and origin of every document."""
    with manifest.open(encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    rows = [
        (text("; ".join(d["authors"]) or "unknown"), text(d["title"] or d["id"]), text(d["date"]), text(d["licence"]),
         text(d["url"] or d["source"]))
        for d in documents
    ]  # fmt: skip
    head = "# Attribution\n\nWho wrote the texts that this model learned from or was measured on. None of them was asked, and none endorses it.\n\n"
    return head + table(("author", "title", "date", "licence", "origin"), rows) + "\n"


def describe(record: Json, folder: Path) -> str:
    """What a run says last: where the release is, how good it is, what it cost, a sample, and what to try next."""
    bits, cost = record["results"]["bits_per_byte"], record["cost"]["outcome"]
    labels = bits["measure"].get("of") == "labels"
    gain = 100 * (1 - bits["total"] / bits["five_gram"])
    of_what = "" if bits["measure"]["left_to_right"] or labels else " of hidden tokens"
    base, held_out = base_of(record), bits["measure"].get("of", "documents")
    beside = (
        ""
        if base is None or labels
        else f"{base['release']}, its base, needs {record['results']['base']['total']:.4f}; "
    )
    beside += f"{abs(gain):.1f} % {'under' if gain >= 0 else 'above'} a 5-gram's {bits['five_gram']:.4f}"
    minutes = cost["seconds"] / 60
    sample = " ".join(printable(record["sample"]).split())
    asked = "Fellow citizens" if base is None else "What is your name?"
    speak = "" if labels else f'  python -m train generate {folder} "{asked}"\n'
    return f"""
release    {folder}
digest     {record["digest"]}
quality    {bits["total"]:.4f} bits per byte{of_what} on held-out {held_out}, {beside}
cost       {minutes:.1f} minutes ({cost["training_seconds"]:.0f} s of training), {cost["tokens"]:,} tokens, {cost["flops"]:.2g} FLOP, {cost["peak_memory_gb"]} GB of memory
sample     {sample}

Try next:
{speak}  python -m train audit {folder}
  less {folder}/README.md"""
