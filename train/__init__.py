"""Fusée: language models that are free in practice.

The map of the house, in the order in which data walks through it:

    documents/     where the texts come from, under which licence, and which were left out
    tokens/        the tokenizer, trained on those texts, and the token shards
    batches/       which sequences make which step, and what is hidden in them: pure functions of (seed, step)
    model/         the block library and one small file per family
    loss.py        hidden states -> loss, without ever holding all the logits
    optim/         AdamW, Muon, both also exact, and schedules
    numerics/      integer hashes, the exact rounding, digests, and what this machine computes in
    cluster/       which process this is, whether the others live, how a job that was taken away comes back
    parallel/      what is done to a model from outside: axes, checkpointed activations, compilation
    run/           the training loop, checkpoints, signals, metrics, plots
    index/         a suffix array over the training tokens
    tune/          a model that is there learns from examples: supervised, by adapters, from preferences
    sample/        text from a model, token by token
    evaluate/      bits per byte beside a Kneser-Ney 5-gram, tasks, which group a model expects
    hugging_face/  other programs' formats: Hugging Face's, both ways; GGUF
    plan/          what a run takes and costs, before and after it
    standards/     one writer each, exports of release.json
    release/       what is published: data, recipe and weights together
    libre/         the freedoms as commands: audit, rebuild, remake, withdraw, trace, compare
    serve/         a page to ask a model on, an endpoint for programs, a terminal
    watching.py    what is looked at while a training goes on
    training.py    the training of a run: what it is given, foretold, and who helps
    scoring.py     what is stated of a model that was trained
    recipe/        the stages in order
    verbs/         what each word after `python -m train` does
    config/        the rooms' configs, composed
    records.py     what is handed between rooms

`python -m train` lists the experiments and the verbs. Who may import whom: tests/test_architecture.py.
"""

__version__ = "0.1.0"
