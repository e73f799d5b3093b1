"""What each check asks, and what to do where the answer is no: the words of the audit, for a person."""

# check: (question, what to do)
WORDS = {
    "SEAL-01": (
        "is it as it was published?",
        "fetch it again, or ask who gave it to you",
    ),
    "DATA-01": (
        "is every training document listed?",
        "publish data/manifest.jsonl: who wrote what, when, under which licence",
    ),
    "DATA-02": (
        "is the corpus here?",
        "publish the documents, or give for each a hash and a place that asks for no account",
    ),
    "DATA-03": (
        "do the documents give the training tokens?",
        "publish the tokenizer and the documents that were used, unchanged",
    ),
    "DATA-04": (
        "is all that was left out listed?",
        "publish data/excluded.jsonl: every text, the rule, its version, the reason",
    ),
    "DATA-05": (
        "is every text free?",
        "leave out what has no licence or one that is not free, and train again",
    ),
    "DATA-06": (
        "are authors named?",
        "say who wrote the texts whose licence asks for it (metadata.csv, data.sources.*.authors), and train again",
    ),
    "DATA-07": (
        "were reserved rights looked for?",
        "say for each source, with a date, whether rights were reserved (data.sources.*.rights_reserved)",
    ),
    "DATA-08": (
        "were personal data looked for?",
        "search the texts and publish the counts by rule",
    ),
    "DATA-09": (
        "are the figures on the data computed?",
        "count the documents again and publish what is found",
    ),
    "DATA-10": (
        "is no text a machine's?",
        "name what generated each source, or that nothing did (data.sources.*.generator)",
    ),
    "DATA-11": (
        "how much of the exam was in the lesson?",
        "publish the documents, held-out ones too",
    ),
    "DATA-12": (
        "was a text withdrawn?",
        "remake the model without the withdrawn texts",
    ),
    "TOK-01": (
        "does the tokenizer come from these documents?",
        "train the tokenizer on the documents that are published",
    ),
    "TRACE-01": (
        "can one look up who wrote a passage?",
        "publish the documents",
    ),
    "CODE-01": (
        "is the program here?",
        "publish the source that was run, at a commit",
    ),
    "CODE-02": (
        "is the program free?",
        "choose a licence that both the OSI and the FSF call free",
    ),
    "CODE-03": (
        "are its parts named and pinned?",
        "list every package with version and licence",
    ),
    "CONF-01": (
        "are all settings here?",
        "publish the resolved config of the run, and no other",
    ),
    "CONF-02": (
        "does each choice say why?",
        "give every choice its `why`",
    ),
    "COST-01": (
        "is it said what it cost?",
        "state operations, time, energy, money, and the forecast",
    ),
    "WGT-01": (
        "can the weights be read safely, and are they the ones?",
        "publish the weights as safetensors, with a release.json",
    ),
    "WGT-02": (
        "are the steps on the way published?",
        "publish the initial weights, checkpoints and the chain of digests",
    ),
    "WGT-03": (
        "are the weights free?",
        "choose a free licence, without clauses on who may do what",
    ),
    "GATE-01": (
        "may anybody fetch it?",
        "take the gate away",
    ),
    "DEP-01": (
        "is what it was made from free as well?",
        "publish the base model's own ingredients, or begin from nothing",
    ),
    "RUN-01": (
        "is there a build record?",
        "publish attest/traininfo.json, which says what was used",
    ),
    "RUN-02": (
        "do parts of the training give the same again?",
        "python -m train rebuild RELEASE --level R2; or --witness KEY, if you believe who has done it and signed it",
    ),
    "RUN-03": (
        "does the whole training give the same again?",
        "python -m train rebuild RELEASE --level R3; or --witness KEY, if you believe who has done it and signed it",
    ),
    "EVAL-01": (
        "are the scores true?",
        "measure the release again and state what is found",
    ),
    "COST-02": (
        "could you bear to do it again?",
        "state what it costs again on named machines, and the sum that is called bearable",
    ),
    "CARD-01": (
        "are the cards filled in?",
        "fill every field of the cards from the run",
    ),
    "ANCHOR": (
        "what holds the digest itself?",
        "ask the publisher for the digest or the key, by another way, and give it as --expect or --key",
    ),
}
