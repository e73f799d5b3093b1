"""Which licences are free, for texts, weights and programs: a table that a person can read and mend.

No list marks them all rightly (the SPDX list says of no Creative Commons licence whether it is open), so it stands
here. Free as the Definition of Free Cultural Works (freedomdefined.org) and the FSF use the word: use, study, change
and share, for every purpose, without asking. What forbids commerce (NC) or change (ND), or names fields of use, is not.
"""

import re

PUBLIC_DOMAIN = ("CC-PDDC", "CC0-1.0", "PDDL-1.0", "Unlicense", "0BSD")
ATTRIBUTION = (
    *(f"CC-BY-{version}" for version in ("1.0", "2.0", "2.5", "3.0", "4.0")),
    *(f"CC-BY-SA-{version}" for version in ("1.0", "2.0", "2.5", "3.0", "4.0")),
    *(
        "ODC-By-1.0",
        "ODbL-1.0",
        "etalab-2.0",
        "OGL-UK-3.0",
        "FSFAP",
        "GFDL-1.3-or-later",
        "GFDL-1.3-no-invariants-or-later",
        "LicenseRef-scancode-wordnet",  # Princeton's: for any purpose, the notice stays; SPDX's list has no name for it
    ),
)
PROGRAMS = (  # approved by the OSI and free to the FSF
    *(
        "Apache-2.0",
        "MIT",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MPL-2.0",
        "Zlib",
        "PSF-2.0",
        "Python-2.0",
        "EUPL-1.2",
    ),
    *("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-2.1-or-later", "LGPL-3.0-or-later"),
    *("AGPL-3.0-only", "AGPL-3.0-or-later", "Unlicense", "0BSD", "CECILL-2.1", "BSL-1.0", "Artistic-2.0"),
)
TEXTS = (*PUBLIC_DOMAIN, *ATTRIBUTION, *PROGRAMS)
WEIGHTS = (*PROGRAMS, *PUBLIC_DOMAIN, *ATTRIBUTION)

# What takes a freedom away again. Found in a licence or a card, somebody has to read the sentence.
_CLAUSES = {
    "a list of forbidden uses": r"acceptable[- ]use policy|use[- ]based restrictions|prohibited uses",
    "no commerce": r"non-?commercial(ly)? (use|purposes?)|not for commercial|research (use|purposes?) only",
    "a number of users": r"monthly active users",
    "a name that must be borne": r"built with \w+|must (include|display) .{0,40}in the name",
    "somebody else's damages": r"\bindemnif(y|ication)\b.{0,80}\b(meta|licensor|us)\b",
    "an agreement to click on": r"you (must )?agree to (share|the terms)|click(ing)? .{0,20}i accept",
}


def clauses(text: str) -> list[str]:
    """Names of the clauses that seem to stand in a licence or a card."""
    flat = " ".join(text.split())
    return [name for name, pattern in _CLAUSES.items() if re.search(pattern, flat, re.IGNORECASE)]
