"""The papers that the report cites, by their keys in `report/references.bib`."""

import re
from functools import cache

from gradscape.base.paths import TEMPLATES

ENTRY = re.compile(r"^@\w+\{(\w+),(.*?)^\}", re.MULTILINE | re.DOTALL)
AUTHORS = re.compile(r"^\s*author\s*=\s*\{(.*?)\},?$", re.MULTILINE)


@cache
def papers() -> dict[str, str]:
    """Each paper's authors and year, as a sentence names it.

    >>> papers()["ioffe2015"], papers()["he2016"]
    ('Ioffe and Szegedy 2015', 'He et al. 2016')
    """
    named = {}
    for key, entry in ENTRY.findall((TEMPLATES / "references.bib").read_text("utf-8")):
        found = AUTHORS.search(entry)
        authors = found[1].split(" and ") if found else [key]
        names = [author.split(", ")[0].split()[-1].strip("{}") for author in authors]
        first = names[0] if len(names) != 2 else " and ".join(names)
        suffix = re.search(r"\d{4}[a-z]?$", key)
        year = suffix[0] if suffix else ""
        named[key] = f"{first}{' et al.' if len(names) > 2 else ''} {year}".rstrip()
    return named
