"""Token by token it is the same text; the chances are the model's own, and the shares those that are drawn from."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from tests.conftest import make_text
from train.__main__ import main
from train.hugging_face import to_hugging_face
from train.model import CONFIGS, LanguageModel, build_model
from train.records import BadInput
from train.sample import Reply, Sampling, Speaker, open_speaker
from train.sample.draw import draw
from train.tokens import (
    TokenizerConfig,
    TokenizerKind,
    load_tokenizer,
    load_vocabulary,
    save_tokenizer,
    train_tokenizer,
)

SHAPES = {
    "llama": {"d_head": 8, "n_kv_heads": 3},
    "xlnet": {},
    "bert": {},
    "t5": {"d_head": 8, "n_decoder_layers": 2},
}
BERT = {"pad_token": "[PAD]", "mask_token": "[MASK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def speaker_of(family: str, folder: Path) -> Speaker:
    more = BERT if family == "bert" else {"sentinels": 8, "pad_token": "<pad>"} if family == "t5" else {}
    kind = {"bert": TokenizerKind.wordpiece, "t5": TokenizerKind.unigram}.get(family, TokenizerKind.bpe)
    config = TokenizerConfig(kind=kind, vocab_size=400, lowercase=family == "bert", **more)
    save_tokenizer(train_tokenizer(config, [make_text(number) for number in range(20)]), config, folder, 40)
    shape = {"vocab_size": 400, "seq_len": 40, "d_model": 24, "n_layers": 2, "n_heads": 3, "d_ff": 32}
    model: LanguageModel = build_model(CONFIGS[family](name=family, **shape, **SHAPES[family]))
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) * (0.3 if parameter.ndim > 1 else 1.0))
    return Speaker(model, load_tokenizer(folder), load_vocabulary(folder))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only lose by more, on a machine that does other things as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=SHAPES)
def speaker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    return speaker_of(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("prompt", ["Arbel cor dan", "", "{0} cor {1} dan.", "arbel{0}is"])
def test_pieces_and_steps_make_the_text(speaker: Speaker, prompt: str) -> None:
    family = speaker.model.config.name
    blanks = {"bert": ("[MASK]", "[MASK]"), "t5": ("<extra_id_0>", "<extra_id_1>")}.get(family, ("a", "b"))
    for seed in range(4):
        sampling = Sampling(max_tokens=12, seed=seed, temperature=1.5)
        answer = speaker.answer(prompt.format(*blanks))
        pieces, fills = answer.pieces(), [""] * len(answer.blanks)
        assert len(pieces) == len(fills) + 1
        for step in answer.steps(sampling):
            if step.blank is not None:
                fills[step.blank] += step.text
        text = pieces[0] + "".join(fill + piece for fill, piece in zip(fills, pieces[1:], strict=True))
        said = speaker.say(prompt.format(*blanks), sampling)
        assert answer.text() == said
        assert said.rstrip("\N{REPLACEMENT CHARACTER}") == text.rstrip("\N{REPLACEMENT CHARACTER}")


def test_chances_are_the_model_s_and_shares_are_drawn_from() -> None:
    logits = torch.tensor([2.0, 0.5, 1.0, -1.0, 0.0])
    sampling = Sampling(temperature=0.5, top_k=3)
    random = torch.Generator().manual_seed(0)
    draws = [draw(logits, sampling, random) for _ in range(4000)]
    options = {option.token: option for option in draws[0].options(5)}
    chances = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum()
    assert np.allclose([options[token].chance for token in range(5)], chances, atol=1e-6)
    kept = np.exp(2 * np.array([2.0, 0.5, 1.0])) / np.exp(2 * np.array([2.0, 0.5, 1.0])).sum()
    assert np.allclose([options[token].share for token in (0, 1, 2)], kept, atol=1e-6)
    assert options[3].share == options[4].share == 0
    counts = np.bincount([one.token for one in draws], minlength=5) / 4000
    assert np.allclose(counts, [options[token].share for token in range(5)], atol=0.03)


def test_the_token_that_was_drawn_is_among_its_options() -> None:
    logits = torch.linspace(0, 1, 50)
    for seed in range(20):
        drawn = draw(logits, Sampling(temperature=5.0, top_k=0), torch.Generator().manual_seed(seed))
        options = drawn.options(3)
        assert drawn.token in [option.token for option in options]
        assert [option.token for option in options[:3]] == [49, 48, 47]
    greedy = draw(logits, Sampling(temperature=0.0), torch.Generator())
    assert [(option.token, option.share) for option in greedy.options(2)] == [(49, 1.0), (48, 0.0)]


@pytest.mark.parametrize("temperature", [1e-300, 1e-50, 1e-39, 1e-12])
@pytest.mark.parametrize("top", [0.0, -3.0, 5.0, 1e3])
def test_the_coldest_takes_the_likeliest(temperature: float, top: float) -> None:
    logits = torch.tensor([top - 1, top, float("-inf"), top - 2])
    drawn = draw(logits, Sampling(temperature=temperature), torch.Generator())
    assert drawn.token == int(logits.argmax())
    assert [option.share for option in drawn.options(4)] == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("temperature", [0.0, 1e-39, 0.8])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused(temperature: float, wrong: float) -> None:
    for logits in (torch.tensor([1.0, wrong, 2.0]), torch.full((3,), float("-inf"))):
        with pytest.raises(BadInput, match="gives no chances"):
            draw(logits, Sampling(temperature=temperature), torch.Generator())


def test_a_tokenizer_that_has_no_token_for_a_word(tmp_path: Path) -> None:
    speaker = speaker_of("bert", tmp_path)
    about = json.loads((tmp_path / "tokenizer.json").read_text())
    about["model"]["unk_token"] = "nothing"
    (tmp_path / "tokenizer.json").write_text(json.dumps(about))
    broken = Speaker(speaker.model, load_tokenizer(tmp_path), load_vocabulary(tmp_path))
    with pytest.raises(BadInput, match="the tokenizer cannot encode this"):
        broken.say("日本", Sampling())


def test_a_t5_is_asked_no_more_than_it_reads(tmp_path: Path) -> None:
    plain = speaker_of("t5", tmp_path)
    most, room = plain.model.config.seq_len, [9] * plain.model.config.seq_len
    assert Reply(plain, room).prompt_tokens == most
    with pytest.raises(BadInput, match=f"the model reads {most} tokens, and is asked {most + 1}"):
        Reply(plain, [*room, 9])
    assert plain.complete("ar " * 100).prompt_tokens == most


def test_a_prompt_that_is_not_utf_8_is_written(release: Path, tmp_path: Path) -> None:
    words = ["generate", str(release), "caf\udce9", "--max-tokens", "2"]
    assert main([*words, "--json", str(tmp_path / "said.json")]) == 0
    said = json.loads((tmp_path / "said.json").read_text("utf-8"))
    assert said["prompt"] == "caf?"
    assert said["text"].startswith("caf?")


def test_a_generator_that_is_left_early_leaves_no_trace(speaker: Speaker) -> None:
    speaker.model.train()
    steps = speaker.answer("Arbel").steps(Sampling(max_tokens=5))
    assert not next(steps).drawn.logits.requires_grad
    assert torch.is_grad_enabled()
    steps.close()
    assert speaker.model.training
    speaker.model.eval()


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_a_reply_is_what_transformers_says_to_the_same_tokens(family: str, tmp_path: Path) -> None:
    plain = speaker_of(family, tmp_path)
    to_hugging_face(plain.model, tmp_path, plain.vocabulary.hugging_face())
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    speaker = open_speaker(tmp_path)
    said = speaker.say("Arbel cor?", Sampling(max_tokens=9, temperature=0.0))
    kind = transformers.AutoModelForSeq2SeqLM if family == "t5" else transformers.AutoModelForCausalLM
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer("user: Arbel cor?\n", add_special_tokens=family == "t5", return_tensors="pt")
    out = kind.from_pretrained(tmp_path).generate(**ids, do_sample=False, max_new_tokens=9)[0].tolist()
    new = out[1:] if family == "t5" else out[ids["input_ids"].shape[1] :]
    assert said == speaker.decode(new)
    answer = speaker.answer("Arbel cor?")
    assert answer.pieces() == ["", ""]
    assert answer.prompt_tokens == ids["input_ids"].shape[1]
    assert plain.say("Arbel cor?", Sampling(max_tokens=3)).startswith("Arbel cor?")
    assert speaker.complete("Arbel cor?").text().startswith("Arbel cor?")


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_the_likeliest_answer_is_nowhere_behind(family: str, tmp_path: Path) -> None:
    """In every window of a decoder (of 40 tokens here); another token is behind by the difference of their chances."""
    reply = Reply(speaker_of(family, tmp_path), [5, 6, 7])
    drawn = [step.drawn for step in reply.steps(Sampling(temperature=0.0, max_tokens=100))]
    assert len(reply.said) > 60
    assert max(reply.behind(reply.said)) < 1e-4
    for place in (0, 50):
        other = int(drawn[place].logits.argsort()[-2])
        expected = float(drawn[place].logits.max() - drawn[place].logits[other])
        behind = reply.behind([*reply.said[:place], other])
        assert len(behind) == place + 1
        assert behind[place] == pytest.approx(expected, abs=1e-4)
    assert reply.behind([]) == []
    with pytest.raises(BadInput, match="nothing to answer"):
        Reply(reply.speaker, [])
