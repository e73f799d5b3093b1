"""Models that fill in: a BERT's masks and a T5's blanks, each in its place, on the endpoint and for the page."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.sample.test_steps import speaker_of
from tests.serve.conftest import Served, serving
from train.hugging_face import to_hugging_face
from train.sample import Sampling
from train.serve import open_release
from train.tokens import TEXT_TO_TEXT

BLANKS = {"bert": "[MASK]", "t5": "<extra_id_0>"}


@pytest.fixture(scope="module", params=BLANKS)
def filling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    speaker = speaker_of(request.param, folder)
    to_hugging_face(speaker.model, folder, speaker.vocabulary.hugging_face())
    with serving(open_release(folder, folder / "cache", Sampling(max_tokens=6))) as found:
        yield found


def test_the_page_is_told_where_the_words_stand(filling: Served) -> None:
    family = filling.opened.about["family"]
    prompt = f"arbel {BLANKS[family]} dan"
    assert BLANKS[family] in filling.opened.about["what"]
    _, _, body = filling.request("POST", "/api/say", {"prompt": prompt, "seed": 3})
    first, *steps, last = [json.loads(line) for line in body.splitlines()]
    said = filling.opened.speaker.say(prompt, Sampling(max_tokens=6, seed=3))
    words = "".join(step["text"] for step in steps if step["blank"] == 0)
    assert len(first["pieces"]) == 2
    assert first["pieces"][0] + words + first["pieces"][1] == said
    assert all(any(option["drawn"] for option in step["options"]) for step in steps)
    assert last["cut_short"] is (family == "t5" and len(steps) == 6)


def test_a_completion_is_what_is_filled_in(filling: Served) -> None:
    client = openai.OpenAI(base_url=f"{filling.url}/v1", api_key="none", max_retries=0)
    prompt, name = f"arbel {BLANKS[filling.opened.about['family']]}", filling.opened.name
    done = client.completions.create(model=name, prompt=prompt, max_tokens=6, seed=3, temperature=1)
    said = filling.opened.speaker.say(prompt, Sampling(max_tokens=6, seed=3, temperature=1.0, top_k=0))
    before = filling.opened.speaker.answer(prompt).pieces()[0]
    assert said.rstrip("\N{REPLACEMENT CHARACTER}") == before + done.choices[0].text
    parts = client.completions.create(model=name, prompt=prompt, max_tokens=6, seed=3, temperature=1, stream=True)
    assert "".join(part.choices[0].text for part in parts) == done.choices[0].text
    with pytest.raises(openai.BadRequestError, match="no chat template"):
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "x"}])


def test_a_conversation_longer_than_a_t5_reads_is_refused(tmp_path: Path) -> None:
    speaker = speaker_of("t5", tmp_path)
    to_hugging_face(speaker.model, tmp_path, speaker.vocabulary.hugging_face())
    (tmp_path / "chat_template.jinja").write_text(TEXT_TO_TEXT)
    with serving(open_release(tmp_path, tmp_path / "cache", Sampling(max_tokens=6))) as served:
        for words, status in ((3, 200), (10_000, 400)):
            said = "ar " * words
            chat = {"model": served.opened.name, "messages": [{"role": "user", "content": said}]}
            for path, body in (
                ("/api/say", {"prompt": said}), ("/v1/chat/completions", chat),
                ("/v1/chat/completions", chat | {"stream": True}),
            ):  # fmt: skip
                found, _, answer = served.request("POST", path, body)
                assert found == status
                assert (b"the model reads 40 tokens" in answer) == (status == 400)


def test_blanks_are_bounded(filling: Served) -> None:
    family = filling.opened.about["family"]
    prompt = " ".join(["arbel"] * 3 + [BLANKS[family]] * 200)
    status, _, body = filling.request("POST", "/api/say", {"prompt": prompt})
    assert status == 400
    assert ("blanks at most" if family == "bert" else "sentinel") in json.loads(body)["error"]["message"]
