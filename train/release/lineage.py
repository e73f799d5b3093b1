"""What a card says of where the weights come from."""

from train.records import Json, base_of
from train.release.markdown import text


def origin(record: Json) -> str:
    """Trained from nothing, or tuned from what."""
    base = base_of(record)
    return "trained from nothing" if base is None else f"tuned from {text(base['release'])}"


def schooling(record: Json) -> str:
    """What was done so that it behaves, or that nothing was."""
    if base_of(record) is None:
        return "It has had no instruction, no filter and no preference\ntraining"
    return "It was tuned on the examples in `data/`, and\nhas had no filter"


def told(record: Json) -> str:
    """What this release was made from, a section for each; nothing if it began from nothing."""
    return "".join(map(_section, record["lineage"]))


def _section(row: Json) -> str:
    of = {key: text(value) for key, value in row.items()}
    if "weights" not in row:
        return f"""## What it was remade from

{of["release"]} ({of["digest"]}): its documents and recipe, trained from nothing again. Changed: {of["changes"]}. Why:
{of["why"]}

"""
    papers = of.get("declared", "its release.json and sums are in `lineage/`")
    return f"""## What it was tuned from

{of["release"]} ({of["digest"]}): these weights begin from its own. {of["changes"].capitalize()}. Why: {of["why"]}.
Of {of["release"]}: {papers}. What it was made from is in this model too.

"""
