"""Memory per device by family, size and plan, as `plan` counts it: the table of docs/parallel.md.

    python -m benchmarks.plans

Nothing is measured and nothing computed: any machine gives the same table. What `plan` says is checked against real
steps by `python -m benchmarks.memory`.
"""

from benchmarks.measure import write_table
from benchmarks.memory import needs_of
from train.config import compose
from train.plan import memory_of
from train.records import BadInput
from train.release.cards import table

COMMON = ["run.precision=bfloat16", "optim.sequences_per_step=32", "parallel.sequences_per_device=4"]
SIZES = {
    "GPT-2 124M": ["model=gpt2_base", "tokenizer.vocab_size=50257"],
    "BERT base": ["model=bert_base", "tokenizer.vocab_size=30522"],
    "T5 base": ["model=t5_base", "tokenizer.vocab_size=32128"],
    "XLNet base": ["model=xlnet_base", "tokenizer.vocab_size=32000"],
    "BLOOM 560M": ["model=bloom_base", "tokenizer.vocab_size=250880"],
    "Llama 1B (`large`)": ["+experiment=large"],
    "Llama 7B": ["model=llama_base", "tokenizer.vocab_size=32000"],
    "Falcon 7B": ["model=falcon_base", "tokenizer.vocab_size=65024"],
}
FULL = "parallel.activation_checkpointing=full"
PLANS = {
    "one device": [],
    "`full`": [FULL],
    "`shard=8`": ["parallel.shard=8"],
    "`shard=8`, `full`": ["parallel.shard=8", FULL],
    "`shard=4 tensor=2`, `full`": ["parallel.shard=4", "parallel.tensor=2", FULL],
    "`shard=4 context=2`, `full`": ["parallel.shard=4", "parallel.context=2", FULL],
}


def cell(size: list[str], plan: list[str]) -> str:
    """GB, or a dash where the plan does not apply."""
    experiment = [] if size[0].startswith("+") else ["+experiment=tiny"]
    try:
        return f"{sum(memory_of(needs_of(compose([*experiment, *size, *COMMON, *plan]))).values()) / 1e9:.1f}"
    except BadInput:
        return "-"


def main() -> None:
    """Print the table, line by line, and write it."""
    rows = []
    for name, size in SIZES.items():
        rows.append((name, *(cell(size, plan) for plan in PLANS.values())))
        print(*rows[-1], sep="  ", flush=True)
    write_table("plans", "parallel", table(("", *PLANS), rows))


if __name__ == "__main__":
    main()
