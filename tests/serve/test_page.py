"""The page in a real Chromium: with the mouse, with the keyboard alone, and with texts that would be markup."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.sample.test_steps import speaker_of
from tests.serve.conftest import LESSON, QUESTION, Served, serving
from train.documents import read_documents, write_documents
from train.hugging_face import to_hugging_face
from train.sample import Sampling
from train.serve import open_release
from train.tokens import Message

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
EVIL = "<script>window.owned = 1</script><img src=x onerror='window.owned = 2'><b>bold</b>"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Tab:
    """A page that is watched: what it asks for, and what it complains of."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page, self.served = page, served
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(served.url)
        expect(page.locator("#name")).to_have_text(served.opened.name)

    def write(self, prompt: str, **controls: object) -> None:
        self.page.locator("#prompt").fill(prompt)
        for name, value in controls.items():
            self.page.locator(f"#{name}").fill(str(value))
        self.page.get_by_role("button", name="Write").click()
        self.ended()

    def ended(self) -> None:
        expect(self.page.locator("#stop")).to_be_disabled(timeout=30_000)
        expect(self.page.locator("article").first).to_have_attribute("aria-busy", "false")

    def text(self) -> str:
        return self.page.locator("article .text").first.inner_text()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Any]:
    opened: list[Tab] = []

    def start(served: Served, **options: Any) -> Tab:
        opened.append(Tab(browser.new_context(**options).new_page(), served))
        return opened[-1]

    yield start
    for tab in opened:
        assert not tab.complaints
        assert all(url.startswith(tab.served.url) for url in tab.asked), tab.asked
        tab.page.context.close()


def planted(served: Served) -> tuple[str, str]:
    """Words of a training document, and its title."""
    trace = served.opened.trace
    assert trace is not None
    source = trace.documents()[2]
    document = served.opened.document("0", source.id)
    assert document is not None
    return " ".join(document.text.split()[20:45]), source.title


def test_an_answer_with_its_chances_and_whose_words_it_is_in(open_tab: Any, served: Served) -> None:
    tab, (words, title) = open_tab(served), planted(served)
    page = tab.page
    tab.write(words, max_tokens=15, temperature=0.7, top_k=20, seed=4)
    sampling = Sampling(max_tokens=15, temperature=0.7, top_k=20, seed=4)
    expected = served.opened.speaker.say(words, sampling).rstrip("\N{REPLACEMENT CHARACTER}")
    assert page.locator("article .text").first.text_content() == expected
    token = page.locator(".blank .token").nth(2)
    token.hover()
    rows = page.locator("#chances tbody tr")
    assert rows.count() >= 8
    expect(page.locator("#chances .drawn")).to_have_count(1)
    answer = served.opened.speaker.answer(words)
    third = list(answer.steps(sampling))[2]
    drawn = next(option for option in third.drawn.options(8) if option.token == third.drawn.token)
    shown = page.locator("#chances .drawn td").nth(1).inner_text()
    assert float(re.sub("[^0-9.]", "", shown)) == pytest.approx(100 * drawn.chance, abs=0.6)
    page.mouse.move(0, 0)
    expect(page.locator("#chances")).to_be_hidden()
    passage = page.locator(".passage").first
    expect(passage).to_contain_text(title)
    expect(passage).to_contain_text("CC0-1.0")
    expect(page.locator(".passages")).to_contain_text("does not show that the text caused them")
    passage.get_by_role("link", name=title).first.click()
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert " ".join(page.locator("mark").first.inner_text().split()).startswith(words)
    expect(page.locator("mark").first).to_be_in_viewport()
    expect(page.get_by_role("status")).to_contain_text("does not show")
    page.get_by_role("link", name="Ask the model").click()
    expect(page.locator("#name")).to_have_text("small")


def test_a_tuned_model_s_answer_and_the_texts_that_hold_it(open_tab: Any, taught: Served) -> None:
    """Its example, words alone and marked across quotes and a line end; its base's text; and all of it read aloud."""
    tab = open_tab(taught)
    page = tab.page
    tab.write(QUESTION)
    assert page.locator("article .text").text_content() == f"{QUESTION}\n{LESSON}"
    spoken = page.locator("#spoken")
    expect(spoken).to_have_attribute("aria-live", "polite")
    assert spoken.text_content() == f"{QUESTION}\n{LESSON}"
    passages = page.locator(".passages").first
    expect(passages).to_contain_text("stand in the examples it was tuned on or the training texts of its base small")
    expect(page.locator(".passage li").first).to_contain_text("in the examples it was tuned on")
    page.get_by_role("link", name="Lesson").first.click()
    expect(page.locator("mark").first).to_have_text(LESSON, use_inner_text=True)
    expect(page.locator("#text")).not_to_contain_text('{"')
    page.go_back()
    trace = taught.opened.trace
    assert trace is not None
    source = trace.texts[1].documents()[3]
    document = taught.opened.document("1", source.id)
    assert document is not None
    words = " ".join(document.text.split()[30:50])
    tab.write(words)
    page.get_by_role("link", name=source.title, exact=True).first.click()
    assert " ".join(page.locator("mark").first.inner_text().split()).startswith(words)


def test_the_tokens_come_one_by_one_and_stop_when_told(open_tab: Any, served: Served) -> None:
    tab = open_tab(served)
    page = tab.page
    page.locator("#prompt").fill("Cor del")
    page.locator("#max_tokens").fill("2000")
    page.get_by_role("button", name="Write").click()
    expect(page.locator(".blank .token").nth(3)).to_be_attached()
    assert page.locator("article").get_attribute("aria-busy") == "true"
    first = page.locator(".blank .token").count()
    page.wait_for_function("n => document.querySelectorAll('.blank .token').length > n + 5", arg=first)
    page.get_by_role("button", name="Stop").click()
    tab.ended()
    expect(page.get_by_role("status")).to_contain_text("Stopped after")
    assert page.locator(".blank .token").count() < 2000
    expect(page.locator(".passages")).to_contain_text("the training texts")


def test_by_keyboard_alone(open_tab: Any, served: Served) -> None:
    tab, (words, title) = open_tab(served), planted(served)
    page = tab.page
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type(words)
    for value in ("0.5", "10", "12", "7"):
        page.keyboard.press("Tab")
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Write")).to_be_focused()
    page.keyboard.press("Enter")
    tab.ended()
    expect(page.locator("article .how")).to_have_text("temperature 0.5, top k 10, seed 7")
    page.keyboard.press("Tab")
    tokens = page.locator(".blank .token")
    expect(tokens.first).to_be_focused()
    expect(page.locator("#chances")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    assert tokens.nth(1).get_attribute("aria-describedby") == "chances"
    assert tokens.nth(1).evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("End")
    expect(tokens.last).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#chances")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=title).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=title)).to_be_visible()


def test_the_audit_and_the_card_are_one_key_away(open_tab: Any, served: Served) -> None:
    page = open_tab(served).page
    card = page.get_by_role("button", name="Model card")
    card.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Model card")).to_contain_text("# small, version 1.0.0")
    page.keyboard.press("Escape")
    expect(page.locator("#card")).to_be_hidden()
    expect(card).to_be_focused()
    page.get_by_role("button", name="Audit").click()
    expect(page.get_by_role("dialog", name="Is it free in practice?")).to_contain_text("being computed")


def test_the_audit_s_answer(open_tab: Any, served: Served, release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.libre import audit
    from train.serve.auditor import Auditor

    found = audit(release).record()

    async def at_once(self: Auditor) -> None:
        self.answer = {"state": "done", **found}

    monkeypatch.setattr("tests.serve.conftest._no_audit", at_once)
    with serving(served.opened) as again:
        page = open_tab(again).page
        expect(page.locator("#verdict")).to_contain_text(found["level"])
        page.get_by_role("button", name="Audit").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"Libre in practice: {found['verdicts']['libre in practice']}")
        expect(dialog.locator("tbody tr")).to_have_count(len(found["findings"]))
        page.context.close()


def test_what_would_be_markup_is_text(
    open_tab: Any, served: Served, release: Path, index: Path, tmp_path: Path
) -> None:
    shutil.copytree(release, tmp_path / "release")
    with write_documents(tmp_path / "release" / "data", "train") as writer:
        for document in read_documents(release / "data", "train"):
            writer.write(replace(document, title=EVIL, authors=(EVIL,), licence_basis=EVIL, url="javascript:alert(1)"))
    (tmp_path / "release" / "README.md").write_text(EVIL, "utf-8")
    opened = open_release(tmp_path / "release", index, Sampling(max_tokens=5))
    words, _ = planted(served)
    with serving(opened) as hostile:
        tab = open_tab(hostile)
        page = tab.page
        tab.write(f"{EVIL} {words}")
        assert EVIL in tab.text()
        link = page.locator(".passage a").first
        expect(link).to_have_text(EVIL)
        page.get_by_role("button", name="Model card").click()
        expect(page.locator("#card-body")).to_have_text(EVIL)
        page.keyboard.press("Escape")
        assert page.evaluate("window.owned") is None
        link.click()
        expect(page.locator("h1")).to_have_text(EVIL)
        expect(page.locator("mark").first).to_be_visible()
        assert page.evaluate("window.owned") is None
        assert page.locator("script:not([src]), img, b, a[href^='javascript']").count() == 0
        page.context.close()


def test_what_is_hidden_is_filled_in_where_it_stands(open_tab: Any, tmp_path: Path) -> None:
    speaker = speaker_of("bert", tmp_path)
    to_hugging_face(speaker.model, tmp_path, speaker.vocabulary.hugging_face())
    with serving(open_release(tmp_path, tmp_path / "cache", Sampling())) as filling:
        tab = open_tab(filling)
        expect(tab.page.locator("#what")).to_contain_text("[MASK]")
        tab.write("arbel [MASK] dan [MASK].", seed=3)
        assert tab.page.locator("article .text").text_content() == speaker.say(
            "arbel [MASK] dan [MASK].", Sampling(seed=3)
        )
        expect(tab.page.locator(".blank .token")).to_have_count(2)
        tab.page.locator(".blank .token").last.hover()
        expect(tab.page.locator("#chances .drawn")).to_have_count(1)
        tab.page.context.close()


def test_a_folder_without_documents_says_so(open_tab: Any, plain: Served) -> None:
    tab = open_tab(plain)
    tab.write("Cor del", max_tokens=5)
    expect(tab.page.locator(".passages")).to_contain_text("there is nothing to trace an answer to")
    tab.page.get_by_role("button", name="Model card").click()
    expect(tab.page.get_by_role("dialog")).to_contain_text("This model has no card.")


def test_a_conversing_model_is_asked_through_its_template(open_tab: Any, conversing: Served) -> None:
    tab = open_tab(conversing)
    expect(tab.page.locator("#what")).to_contain_text("chat template")
    tab.write("Cor del", max_tokens=5, seed=2)
    assert tab.page.locator(".given").first.text_content() == "Cor del\n"
    assert "user:" not in tab.text()


def test_a_conversation_goes_on_until_a_new_one_is_begun(open_tab: Any, conversing: Served) -> None:
    tab = open_tab(conversing)
    anew = tab.page.get_by_role("button", name="New conversation")
    expect(anew).to_be_hidden()
    tab.write("Cor del", max_tokens=5, seed=2)
    first = "".join(tab.page.locator("article .token").all_inner_texts())
    said = [Message("user", "Cor del"), Message("assistant", first), Message("user", "Uli")]
    tab.write("Uli", seed=3)
    expect(tab.page.locator("article .how").first).to_contain_text("message 2 of a conversation")
    shown = "".join(tab.page.locator("article").first.locator(".token").all_inner_texts())
    answer = conversing.opened.speaker.reply(said)
    for _ in answer.steps(replace(conversing.opened.sampling, max_tokens=5, seed=3)):
        pass
    assert shown == answer.text()
    anew.click()
    expect(anew).to_be_hidden()
    tab.write("Cor del", seed=2)
    assert "".join(tab.page.locator("article").first.locator(".token").all_inner_texts()) == first


def test_a_refusal_is_said(open_tab: Any, served: Served) -> None:
    tab = open_tab(served)
    page = tab.page
    page.evaluate("document.getElementById('max_tokens').removeAttribute('max')")
    page.locator("#prompt").fill("Cor")
    page.locator("#max_tokens").fill("99999")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("status")).to_contain_text("max_tokens must be a whole number from 1 to 2048")
    complaints = [one for one in tab.complaints if "400" not in one]  # the browser itself notes the status
    assert not complaints
    tab.complaints.clear()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(open_tab: Any, served: Served, width: int, scheme: str) -> None:
    """No sideways scrolling, and text on its ground with a contrast of 4.5 to 1 or more (WCAG 2, AA)."""
    tab = open_tab(served, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    page = tab.page
    tab.write(planted(served)[0], max_tokens=30, temperature=1.5, top_k=0)
    expect(page.locator(".passage").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate(COLOURS)
    for name, ink, paper in colours:
        assert contrast(ink, paper) >= 4.5, (name, ink, paper)


COLOURS = """() => ["body", "#facts", ".given", ".passage a", "small", "#go", ".caution"].map((name) => {
    const solid = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour.startsWith("rgba") && element.parentElement ? solid(element.parentElement) : colour;
    };
    const element = document.querySelector(name);
    return [name, getComputedStyle(element).color, solid(element)];
})"""


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours, "rgb(1, 2, 3)"."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)
