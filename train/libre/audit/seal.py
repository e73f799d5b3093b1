"""SEAL: nothing in the folder was changed, added, taken away or renamed since it was sealed; and what anchors that."""

import re

from train.libre.audit.finding import Answer, Checks, failed, verified
from train.libre.audit.subject import Subject
from train.records import digest_file, printable
from train.release import SUMS, root_digest, unlike_schema

_LATER = r"attest/(rebuilds|audits|withdrawals|evaluations)/[\w.-]+\.json"  # statements that come after the seal


def whole(subject: Subject) -> Answer:
    """SEAL-01."""
    sums, files = subject.sums, {name for name in subject.files if name != SUMS and not re.fullmatch(_LATER, name)}
    wrong = [f"{name} is missing" for name in sorted(set(sums) - files)]
    wrong += [f"{name} was added" for name in sorted(files - set(sums))]
    wrong += [
        f"{name} was changed"
        for name in sorted(files & set(sums))
        if digest_file(subject.folder / name) != subject.emptied.get(name, ("", sums[name]))[1]
    ]
    if wrong:
        return failed(printable("; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")))
    if sums != dict(sorted(sums.items())) or subject.text(SUMS) != "".join(f"{d}  {n}\n" for n, d in sums.items()):
        return failed(f"{SUMS} was changed")
    sealed = {name: before for name, (before, _) in subject.emptied.items()}
    if unlike := unlike_schema(subject.record):
        return failed(f"release.json is not as its schema says: {unlike}")
    if root_digest(subject.folder, subject.record, sealed) != subject.record["digest"]:
        return failed("release.json states another digest than its files give")
    changed = f"; {', '.join(subject.emptied)} as a withdrawal left it" if subject.emptied else ""
    return verified(f"{len(files)} files, as they were sealed{changed}")


CHECKS: Checks = {
    "SEAL-01": whole,
}
