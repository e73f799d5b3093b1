"""What a tuned model has answered to its task's questions: held against its weights, and marked again."""

from itertools import islice

from train.evaluate import ANSWERS, mark_exam, read_examples
from train.libre.audit.subject import Subject
from train.records import BadInput, printable
from train.sample import Reply, open_speaker

_NEAR = 0.01  # nats: so near two tokens may be that another processor's sums turn them


def has_answers(subject: Subject) -> bool:
    """Whether the release publishes them: those of before they were published state scores alone."""
    return "task" in subject.record["results"] and str(ANSWERS) in subject.files


def wrong_answers(subject: Subject) -> str:
    """What is not as stated; nothing where all is, or where there is nothing to look at.

    The base's answers are marked again like the others; whether they are the base's is not looked at.
    """
    if not has_answers(subject):
        return ""
    stated, rows = subject.record["results"]["task"], list(subject.rows(str(ANSWERS)))
    documents = list(islice(subject.documents("validation"), len(rows)))
    try:
        said = {who: [str(row[who]) for row in rows] for who in ("tuned", "its base")}
        answers = [[int(token) for token in row["tokens"]] for row in rows]
        task, scores, longest = str(stated["name"]), stated["scores"], int(stated["longest_answer"])
        if len(rows) != stated["asked"] or [row["id"] for row in rows] != [document.id for document in documents]:
            return f"{ANSWERS} has answers to other questions than those held out"
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{ANSWERS}: not answers that can be read ({error})") from error
    held_out = list(read_examples(documents))
    if mark_exam(task, list(read_examples(subject.documents("train"))), held_out, said, None)["scores"] != scores:
        return f"{printable(task)}: marked again, the answers do not have the scores that are stated"
    speaker = open_speaker(subject.folder)
    for document, (question, _), text, tokens in zip(documents, held_out, said["tuned"], answers, strict=True):
        reply = speaker.answer(question)
        ended = [speaker.vocabulary.need("end")] if len(tokens) < longest else []
        known = all(0 <= token < speaker.vocabulary.size for token in tokens)
        if not isinstance(reply, Reply) or not known or len(tokens) > longest or speaker.decode(tokens) != text:
            return f"{printable(task)}: the answer to {printable(document.id)} is not what its tokens say"
        if max(reply.behind([*tokens, *ended]), default=0) > _NEAR:
            return f"{printable(task)}: the model does not answer to {printable(document.id)} what stands there"
    return ""
