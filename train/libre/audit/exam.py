"""What a tuned model has answered to its task's questions: held against its weights, and marked again."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from train.evaluate import ANSWERS, LONGEST, TASKS, drawn, longest_answer, mark_exam, read_examples, task_of
from train.libre.audit.subject import Subject
from train.records import BadInput, Json, printable, read_rows
from train.sample import Reply, Speaker, open_speaker
from train.tokens import ExampleStore

_NEAR = 0.01  # nats: so near two tokens may be that another processor's sums turn them
_LINE = 2**20  # bytes
_WHO = ("tuned", "its base")


@dataclass(frozen=True)
class _Exam:
    """What was asked, the answers that are wanted and those that were given, and how long these may be."""

    task: str
    ids: list[str]
    asked: list[tuple[str, str]]
    said: dict[str, list[str]]
    tokens: list[list[int]]
    longest: int


def has_answers(subject: Subject) -> bool:
    """Whether the release publishes them: those of before they were published state scores alone."""
    return "task" in subject.record["results"] and str(ANSWERS) in subject.files


def look_at_answers(subject: Subject) -> str:
    """What was found, in words. Raises BadInput at what is not as stated.

    That the base's answers are the base's, and which of the wanted ones it had read (`unread`), is not looked at here.
    """
    stated = subject.record["results"]["task"]
    if not isinstance(stated, dict) or not isinstance(stated.get("scores"), dict):
        raise BadInput("release.json: what it states of its task is not to be read")
    exam = _read(subject, stated)
    speaker = open_speaker(subject.folder)
    for id, (question, _), text, tokens in zip(exam.ids, exam.asked, exam.said["tuned"], exam.tokens, strict=True):
        if wrong := _wrong(speaker, question, text, tokens, exam.longest):
            raise BadInput(f"{exam.task}: the answer to {printable(id)} {wrong}")
    marked = _marked_again(subject, exam, stated["scores"])
    return f"{exam.task}: the answers are its own{marked}"


def _read(subject: Subject, stated: Json) -> _Exam:
    """The answers. Raises BadInput where they are others than the recipe and the documents give."""
    recipe = subject.recipe
    task = task_of(recipe.tune.task, recipe.data.name)
    if task not in TASKS or stated.get("name") != task:
        raise BadInput(f"the task of this recipe is {printable(task) or 'none'}, not the one that is stated")
    documents = drawn(subject.documents("validation"), recipe.evaluate.limit)
    lines = read_rows(subject.path(str(ANSWERS)), _LINE)
    rows, ids = list(islice(lines, len(documents) + 1)), [document.id for document in documents]
    if not all(_is_answer(row) for row in rows):
        raise BadInput(f"{ANSWERS}: a line that is no answer: an id, two texts and the tokens of the first")
    if stated.get("asked") != len(documents) or [row["id"] for row in rows] != ids:
        raise BadInput(f"{ANSWERS} has answers to other questions than those held out")
    longest = LONGEST if subject.withdrawn else _longest(subject)
    if stated.get("longest_answer") != longest and not subject.withdrawn:
        raise BadInput(f"an answer may have {longest} tokens by its examples, not as stated")
    said = {who: [row[who] for row in rows] for who in _WHO}
    return _Exam(task, ids, list(read_examples(documents)), said, [row["tokens"] for row in rows], longest)


def _is_answer(row: dict[str, Any]) -> bool:
    tokens = row.get("tokens")
    whole = isinstance(tokens, list) and all(type(token) is int for token in tokens)
    return whole and all(isinstance(row.get(key), str) for key in ("id", *_WHO))


def _longest(subject: Subject) -> int:
    assert subject.tokens  # made again
    return longest_answer(ExampleStore(subject.work, "train"))


def _wrong(speaker: Speaker, question: str, text: str, tokens: Sequence[int], longest: int) -> str:
    """What is wrong with an answer: it must be what its tokens say, and each of them the model's likeliest."""
    end, reply = speaker.vocabulary.need("end"), speaker.answer(question)
    known = all(0 <= token < speaker.vocabulary.size and token != end for token in tokens)
    if not known or len(tokens) > longest or speaker.decode(list(tokens)) != text:
        return "is not what its tokens say"
    if not isinstance(reply, Reply) or reply.prompt_tokens > speaker.model.config.seq_len:
        return "is to a question that the model cannot read"
    ended = [*tokens, end] if len(tokens) < longest else tokens
    if not all(behind <= _NEAR for behind in reply.behind(ended)):
        return "is not what the model would say"
    return ""


def _marked_again(subject: Subject, exam: _Exam, stated: Json) -> str:
    """What to say of the scores."""
    if subject.withdrawn:
        return "; not marked again since the withdrawal: the guesses beside them know all examples"
    words = max(LONGEST, subject.recipe.model.seq_len)  # no example has more tokens, and so no more words
    if any(len(text.split()) > words for text in [*(answer for _, answer in exam.asked), *exam.said["its base"]]):
        raise BadInput(f"{exam.task}: an answer of more words than the model reads tokens")
    try:
        train = list(read_examples(subject.documents("train")))
        found = mark_exam(exam.task, train, exam.asked, exam.said, None)["scores"]
    except BadInput as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        return f"; their marks are declared, not given again: {printable(str(error))[:120]}"
    if found != stated:
        raise BadInput(f"{exam.task}: marked again, the answers do not have the scores that are stated")
    return ", and marked as stated"
