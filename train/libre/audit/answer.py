"""The answer to an audit: every finding, the level of rebuild, what four definitions of freedom say, what to do."""

import shutil
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from train.documents import withdrawn
from train.libre.audit import cards, data, recipe, seal, weights
from train.libre.audit.finding import Answer, Checks, Finding, Status, failed
from train.libre.audit.subject import Base, Subject
from train.records import BadInput, digest_json, printable, write_json
from train.release import SIGNED
from train.standards import TRAINING, audit_record, read_key, sign

CHECKS: Checks = {**seal.CHECKS, **data.CHECKS, **recipe.CHECKS, **weights.CHECKS, **cards.CHECKS}

# What each definition asks for, by check. MOF: the classes of the Linux Foundation's Model Openness Framework.
_OSAID = ("DATA-01", "DATA-04", "CODE-01", "CODE-02", "CONF-01", "WGT-01", "WGT-03")
_MOF = {
    "class III, open model": ("WGT-01", "WGT-03", "CARD-01"),
    "class II, open tooling": ("CODE-01", "CODE-02", "EVAL-01"),
    "class I, open science": ("DATA-01", "DATA-02", "DATA-05", "WGT-02"),
}
_STRICT = ("DATA-02", "DATA-05", "TOK-01", "CODE-01", "CODE-02", "CODE-03", "WGT-01", "WGT-03", "DEP-01")
_R1 = ("DATA-02", "DATA-03", "TOK-01", "WGT-02")


@dataclass(frozen=True)
class Audit:
    """What was found of one release. `anchor`: what holds the digest itself, or that nothing does; `elsewhere`: a
    witness remade it on other hardware."""

    name: str
    digest: str
    anchor: Finding
    findings: tuple[Finding, ...]
    elsewhere: bool = False

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed."""
        return [finding for finding in (self.anchor, *self.findings) if finding.status is Status.failed]

    @property
    def level(self) -> str:
        """How far the release was shown to be what its ingredients give: R0 to R4, or R≈."""
        if not self._hold(_R1):
            return "R0"
        if self._hold(("RUN-03",)):
            return "R4" if self.elsewhere else "R3"
        near = any(finding.id == "RUN-03" and finding.status is Status.near for finding in self.findings)
        return "R≈" if near else "R2" if self._hold(("RUN-02",)) else "R1"

    def verdicts(self) -> dict[str, str]:
        """What each definition says: yes, or the checks that stand against it."""
        classes = [name for name, needs in _MOF.items() if self._hold(_needs_up_to(name))]
        everything = tuple(finding.id for finding in self.findings)
        lacking = self._lacking(everything) or ([] if self.level in {"R3", "R4"} else ["R3"])
        return {
            "OSAID 1.0 (Open Source AI Definition)": self._says(_OSAID),
            "MOF (Model Openness Framework)": classes[-1]
            if classes
            else f"none: {', '.join(self._lacking(_MOF['class III, open model']))}",
            "FSF and Debian (the data must be free too)": self._says(_STRICT),
            "libre in practice": f"not yet: {', '.join(lacking)}" if lacking else "yes",
        }

    def record(self) -> dict[str, Any]:
        """As JSON."""
        rows = [finding.record() for finding in (*self.findings, self.anchor)]
        return {
            "release": self.name,
            "digest": self.digest,
            "failed": [finding.id for finding in self.failed],
            "level": self.level,
            "verdicts": self.verdicts(),
            "findings": rows,
        }

    def _says(self, needs: tuple[str, ...]) -> str:
        lacking = self._lacking(needs)
        return "yes" if not lacking else f"no: {', '.join(lacking)}"

    def _hold(self, needs: tuple[str, ...]) -> bool:
        return not self._lacking(needs)

    def _lacking(self, needs: tuple[str, ...]) -> list[str]:
        """Of these checks, those that do not hold."""
        holds = {finding.id: finding.holds for finding in self.findings}
        return [id for id in needs if not holds[id]]


def _needs_up_to(name: str) -> tuple[str, ...]:
    names = list(_MOF)
    return tuple(need for one in names[: names.index(name) + 1] for need in _MOF[one])


def audit(
    folder: Path,
    expect: str = "",
    note: Callable[[str], object] = lambda _: None,
    bases: Sequence[Path] = (),
    key: str = "",
    witnesses: Sequence[str] = (),
) -> Audit:
    """Ask a release everything.

    `expect`, `key`: the digest and the key that its publisher told elsewhere; `note` is told each check; `bases`: the
    release that this one was made from, the one that that was made from, and so on, each audited as well; `witnesses`:
    the keys of those whose word is believed that they remade it.

    Raises BadInput if there is no such folder.
    """
    with tempfile.TemporaryDirectory() as work:
        subject = Subject(folder, Path(work), [_base(bases[0], bases[1:], note)] if bases else [], witnesses)
        findings = []
        for id in CHECKS:
            note(id)
            findings.append(ask(id, subject))
        try:
            name, digest = str(subject.record["name"]), str(subject.record["digest"])
        except (BadInput, KeyError):
            name, digest = folder.name, ""
        anchor = _anchor(subject, digest, expect, key)
        elsewhere = findings[list(CHECKS).index("RUN-03")].holds and weights.elsewhere(subject)
        return Audit(printable(name)[:80], printable(digest)[:64], anchor, tuple(findings), elsewhere)


def _base(folder: Path, further: Sequence[Path], note: Callable[[str], object]) -> Base:
    found = audit(folder, "", note, further)
    gone = {} if Subject(folder, folder).irregular else withdrawn(folder)  # its links lead anywhere; it has failed
    return Base(folder, found.name, found.digest, tuple(one.id for one in found.failed), frozenset(gone))


def attest(folder: Path, found: Audit, verifier: str, key: str = "") -> Path:
    """Write the answer into the release's attest/audits/, signed where a key is named; returns where it lies."""
    if links := Subject(folder, folder).irregular:
        raise BadInput(
            f"{printable(str(folder))}: holds links or devices, and is not written to: {printable(links[0])}"
        )
    if not found.digest:
        raise BadInput(f"{printable(str(folder))}: no release.json with a digest, so nothing can be said about it")
    statement = audit_record(found.record(), verifier, datetime.now(UTC).isoformat(timespec="seconds"))
    path = folder / "attest" / "audits" / f"{digest_json(statement)[:16]}.json"
    write_json(path, sign(statement, read_key(key)) if key else statement)
    return path


def look_at_inputs(subject: Subject) -> dict[str, Answer]:
    """The checks that rebuild level R1 stands on."""
    found = {id: ask(id, subject) for id in _R1}
    return {id: (finding.status, finding.found) for id, finding in found.items()}


def ask(id: str, subject: Subject) -> Finding:
    """One check. What cannot be seen has failed: a release is somebody else's, and anything may be wrong in it."""
    try:
        status, found = (
            failed(f"not looked at, as the folder holds links or devices: {', '.join(subject.irregular[:3])}")
            if subject.irregular
            else CHECKS[id](subject)
        )
    except BadInput as error:
        status, found = failed(str(error).replace(f"{subject.folder}/", ""))
    except Exception as error:  # whatever what they state brings about, in whichever package
        status, found = failed(f"what is stated cannot be read: {type(error).__name__} {error}")
    return Finding(id, status, printable(found)[:400])


def _anchor(subject: Subject, digest: str, expect: str, key: str) -> Finding:
    """What holds the digest, which holds all the rest: the digest or the key that its publisher told elsewhere."""
    signer = _signer(subject)
    if expect and expect != digest:
        return Finding(
            "ANCHOR", Status.failed, f"it is {digest[:12] or 'none'}, you were told {printable(expect)[:12]}"
        )
    if key and key != signer:
        return Finding("ANCHOR", Status.failed, f"signed by {signer or 'nobody'}, you were told {printable(key)[:80]}")
    if expect or key:
        told = "digest" if expect else "key that signed it"
        return Finding("ANCHOR", Status.verified, f"the {told} is the one that you were told")
    why = "nothing: who changes a file and rewrites every sum is found by a digest from elsewhere alone (--expect)"
    if signer:
        why = f"{signer} signed it, and anybody can make a key: ask its publisher which is theirs (--key)"
    return Finding("ANCHOR", Status.not_yet, why)


def _signer(subject: Subject) -> str:
    """The key that signed the build record of this very release; "" if none did."""
    try:
        statement, key = subject.statement(SIGNED)
        about = {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
        kind = statement["predicate"]["buildDefinition"]["buildType"]
        return key if about["release.json"] == subject.record["digest"] and kind == TRAINING else ""
    except (BadInput, AttributeError, KeyError, TypeError):
        return ""


def render(found: Audit) -> str:
    """The answer as a person reads it."""
    width = max(60, min(120, shutil.get_terminal_size().columns))
    lines = [f"{found.name}", f"digest {found.digest or '-'}", ""]
    for finding in (*found.findings, found.anchor):
        head = f"  {finding.id:9} {finding.status.value:15} "
        lines.append(head + finding.question)
        lines += textwrap.wrap(finding.found, width, initial_indent=" " * 28, subsequent_indent=" " * 28)
    lines += ["", f"Rebuild level: {found.level}  ({_LEVELS[found.level]})", ""]
    lines += [f"{name}: {verdict}" for name, verdict in found.verdicts().items()]
    todo = [f for f in (*found.findings, found.anchor) if f.is_open]
    if todo:
        lines += ["", "To do:"]
        lines += [f"  {finding.id:9} {finding.mend}" for finding in todo]
    counts: Mapping[str, int] = {s.value: sum(f.status is s for f in found.findings) for s in Status}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return "\n".join([*lines, "", f"{len(found.findings)} checks: {said}."])


_LEVELS = {
    "R0": "what it is made of is declared, and was not shown",
    "R1": "documents, tokenizer, tokens and initial weights were made again and are the ones",
    "R≈": "the whole was remade; not identical, and as near as another seed would be",
    "R2": "parts of the training were replayed and are identical",
    "R3": "the whole was remade and is identical",
    "R4": "the whole was remade by a witness of yours on other hardware and is identical",
}
