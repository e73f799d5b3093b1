"""The metrics are the reference libraries' own, and the baselines answer what they are said to answer."""

import builtins
import json

import pytest

from train.evaluate import TASKS, answer_without_a_model, mark_exam, read_examples, score
from train.evaluate import metrics as ours
from train.evaluate.baselines import Nearest, lead
from train.records import BadInput, Document, canonical_json

SAID = ["the cat sat on the mat", "il n'est pas nécessaire de payer", ""]
WANTED = ["the cat is on the mat", "il est nécessaire de payer le loyer", "yes"]


def test_bleu_and_chrf_are_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    assert ours.bleu(SAID, WANTED).value == pytest.approx(sacrebleu.corpus_bleu(SAID, [WANTED]).score / 100)
    assert ours.chrf(SAID, WANTED).value == pytest.approx(sacrebleu.corpus_chrf(SAID, [WANTED]).score / 100)
    for metric in (ours.bleu, ours.chrf):
        found = metric(SAID, WANTED)
        assert 0 <= found.low < found.value < found.high <= 1
        assert (metric(WANTED, WANTED).value, metric(WANTED, WANTED).high) == pytest.approx((1, 1))
        assert metric(["x"], ["y"]) == pytest.approx((0, 0, 0))


def test_rouge_is_rouge_scores_where_its_words_are_ours() -> None:
    rouge = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = rouge.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    theirs = scorer.score(WANTED[0], SAID[0])
    for kind, metric in (("rouge1", ours.rouge_1), ("rouge2", ours.rouge_2), ("rougeL", ours.rouge_l)):
        assert metric(SAID[:1], WANTED[:1]).value == pytest.approx(theirs[kind].fmeasure)


def test_rouge_knows_french_words() -> None:
    """Worked out by hand: été and ete share no word; rouge-score's own tokenizer makes one "t" of both."""
    pytest.importorskip("rouge_score")
    assert ours.rouge_1(["été"], ["âtre"]).value == 0
    assert ours.rouge_1(["l'été passé"], ["l'été"]).value == pytest.approx(2 * 2 / (3 + 2))


def test_exact_match_and_f1_by_hand() -> None:
    assert ours.exact_match(["Yes!", "no"], ["yes", "No way"]).value == 0.5
    assert ours.word_f1(["a b b"], ["b c"]).value == pytest.approx(2 * 1 / 5)
    assert ours.word_f1([""], [""]).value == 1


def test_a_mean_has_the_interval_of_its_questions() -> None:
    """Of a share of n the bootstrap gives the binomial's interval: 1.96 standard errors to both sides."""
    said = ["yes"] * 200
    found = ours.exact_match(said, ["yes"] * 50 + ["no"] * 150)
    reach = 1.96 * (0.25 * 0.75 / 200) ** 0.5
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25 - reach, 0.25 + reach), abs=0.01)
    assert ours.exact_match(said, said) == (1, 1, 1)


def test_without_the_extra_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: object) -> object:
        if name.partition(".")[0] in {"sacrebleu", "rouge_score"}:
            raise ImportError(name)
        return real(name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    for metric in (ours.bleu, ours.rouge_l):
        with pytest.raises(BadInput, match=r"\.\[tasks\]"):
            metric(SAID, WANTED)


EXAMPLES = [("Who pays the rent?", "The tenant."), ("Who pays the tax?", "The owner."), ("When is it due?", "In May.")]


def test_the_nearest_question() -> None:
    nearest = Nearest(EXAMPLES)
    assert nearest("the tax, who pays?") == "The owner."
    assert nearest("When?") == "In May."
    assert nearest("xyz") == ""
    assert nearest("who pays") == "The tenant."  # of two as near, the earlier


def test_the_first_sentences() -> None:
    assert lead("Résume : A\n\nTitre\n\nUn.\nDeux.\n\nTrois.", 8) == "Un."
    assert lead("Résume : A\n\nTitre\n\nUn.\nDeux.\n\nTrois.", 99) == "Un. Deux. Trois."


def test_scores_of_baselines() -> None:
    pytest.importorskip("sacrebleu")
    train = [("Translate into Spanish: Go.", "Ve."), ("Translate into Spanish: Stop.", "Alto.")]
    said = answer_without_a_model("translation", train, ["Translate into Spanish: Go!"])
    assert said == {"copy": ["Go!"], "nearest pair": ["Ve."]}
    for task in TASKS:
        assert set(score(task, SAID, WANTED)) == set(TASKS[task].metrics)
    with pytest.raises(BadInput, match="known are questions"):
        score("riddles", SAID, WANTED)
    with pytest.raises(BadInput, match="1 answers to 3"):
        score("code", SAID[:1], WANTED)


def test_an_exam_is_marked_apart_where_some_answers_were_read_before() -> None:
    pytest.importorskip("rouge_score")
    said = {"tuned": ["The tenant.", "Nobody.", "In June."]}
    found = mark_exam("questions", EXAMPLES, EXAMPLES, said, [0.0, 0.9, 0.1])
    assert (found["asked"], found["read"], found["unread"]["asked"]) == (3, 1, 2)
    assert list(found["scores"]) == ["tuned", "nearest question"]
    assert found["scores"]["tuned"]["word_f1"]["value"] == pytest.approx((1 + 0 + 0.5) / 3, abs=1e-4)
    assert found["unread"]["scores"]["tuned"]["word_f1"]["value"] == pytest.approx((1 + 0.5) / 2)
    assert found["scores"]["nearest question"]["word_f1"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert "unread" not in mark_exam("questions", EXAMPLES, EXAMPLES, said, [0.9] * 3)
    assert not {"read", "unread"} & set(mark_exam("questions", EXAMPLES, EXAMPLES, said, None))


def document(text: str) -> Document:
    return Document(id="s/1", text=text, source="s", sha256="", n_bytes=len(text))


def test_examples_out_of_documents() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert list(read_examples([document(canonical_json({"messages": turns}).decode())])) == [("a", "b")]
    for bad in ("", "[]", json.dumps({"messages": turns[:1]}), json.dumps({"messages": turns[1:]})):
        with pytest.raises(BadInput, match="s/1"):
            list(read_examples([document(bad)]))
