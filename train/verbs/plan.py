"""What a run costs, before it is spent."""

from train.verbs.words import take, take_json, wants_help, write_json

_PLAN_HELP = """python -m train plan +experiment=NAME [group.key=value ...]

Parameters, tokens, operations, memory, hours, electricity and money of a run, before it is spent.

  --machine NAME   laptop, a100, h100x8, or a YAML file with the same keys; without it all of these, and this machine,
                   whose speed is measured on a few sequences
  --budget SUM     2h, 30min or 50eur: the best Llama that this affords, as words ready to paste
  --json FILE      write the answer to FILE as well
"""


def plan(words: list[str]) -> int:
    """Forwards from an experiment, or backwards from a budget."""
    if wants_help("plan", words, _PLAN_HELP):
        return 0
    json_file, name, budget = take_json(words), take(words, "--machine"), take(words, "--budget")
    from train.config import compose
    from train.plan import Needs, TooLarge, afford, estimate, find_machine, machine_here, machines, render
    from train.records import BadInput

    config = compose(words)
    if config.tune.on and (config.tune.name.value != "sft" or config.tokenizer.sentinels):
        raise BadInput(
            "plan: of a tuning it knows what tune=sft of a decoder takes, and no other; "
            "a run says how long it will take before it begins"
        )
    low = config.precision == "float8"
    here = "auto" if low else config.precision
    precision = "bfloat16" if here == "auto" else here  # as on the machines with a name
    needs = Needs(config.model, config.objective, config.optim, config.parallel, config.tokenizer.sentinels, precision)
    left_out = ""
    try:
        asked = [find_machine(name)] if name else [machine_here(needs, config.run, here)]
    except TooLarge as error:
        if budget:
            raise
        asked, left_out = [], f"\n\nThis machine is left out: {error}."
    asked += [] if name or budget or config.numerics.exact else machines()
    found, pasted = (estimate(needs), []) if budget is None else afford(needs, asked[0].affords(budget))
    prices = [machine.price(found.flops).record() for machine in asked]
    write_json(json_file, {**found.record(), "machines": prices, "overrides": pasted})
    print(render(found, asked, pasted and [*words, *pasted]) + left_out)
    if config.numerics.exact:
        print("\nnumerics=exact computes in float64; the speeds of machines with a name are for bf16 and do not apply.")
    if low:
        print("\nrun.precision=float8: memory and speeds are those of bfloat16; what float8 saves is not reckoned.")
    return 0
