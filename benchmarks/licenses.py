# ruff: noqa: T201  a benchmark prints
"""Licence recognition on real texts: what Debian's packagers and Python's authors wrote, held against what the same people declared.

`python -m benchmarks.licenses [--half both] [--wrong]`, on any Debian machine. Texts and their truths:
- `debian text`: the words under each `License:` of machine-readable copyright files (DEP-5); truth is the short name above them.
- `debian name`: those short names as a licence field; truth is the table here, made from DEP-5's list and not from the filter's.
- `debian file`: whole such files without their `License:` lines; truth is the least open class of all names, and only the class is judged.
- `common`: /usr/share/common-licenses; truth is the file's name.
- `python text`: the licence file of installed packages that have one; truth is License-Expression, else one specific classifier.
- `python field`: License and License-Expression fields, whole classifiers; truth as before, from the other field.
Files with the same bytes count once. Halves are drawn by the hash of the file's name (or package's); a text of the development half is
left out of the held-out one. Names that the table does not know have no truth: what is answered there is counted, not judged.

Precision: of the texts that got an answer (a class other than unknown), how many got the right class; and, of those, the right licence.
Recall: of the texts whose truth is known, how many got the right class. `worse`: a text whose truth is less open than the answer.
"""

import collections
import functools
import hashlib
import os
import re
import time
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, NamedTuple

os.environ["POLARS_MAX_THREADS"] = "1"

import polars as pl
from license_expression import get_spdx_licensing

from benchmarks._machine import machine
from benchmarks._run import options, save
from filters._licenses import CLASSES, expression
from filters.license import license as declared

LICENSING = get_spdx_licensing()
_DEBIAN = Path("/usr/share/doc")
_COMMON = Path("/usr/share/common-licenses")
_GNU = re.compile(r"(a|l)?gpl-?(?:v)?(\d)?(?:\.(\d))?(\+)?")
_NAMES = {
    "expat": "MIT", "mit": "MIT", "mit/x11": "MIT", "mit/x": "MIT", "mit-style": None, "x11": "X11", "isc": "ISC", "zlib": "Zlib",
    "curl": "curl",
    "ftl": "FTL", "openldap-2.8": "OLDAP-2.8", "oldap-2.8": "OLDAP-2.8", "public-domain": "LicenseRef-Public-Domain",
    "pd": "LicenseRef-Public-Domain", "cc0": "CC0-1.0", "cc0-1.0": "CC0-1.0", "apache-2.0": "Apache-2.0", "apache-2": "Apache-2.0",
    "apache-1.1": "Apache-1.1", "bsd-2-clause": "BSD-2-Clause", "bsd-2": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause", "bsd3": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause", "bsd-4-clause-uc": "BSD-4-Clause-UC",
    "bsd-1-clause": "BSD-1-Clause", "bsd-2-clause-netbsd": "BSD-2-Clause", "bsd-0-clause": "0BSD", "0bsd": "0BSD",
    "bsd-3-clause-clear": "BSD-3-Clause-Clear", "fsfap": "FSFAP", "fsful": "FSFUL", "fsfullr": "FSFULLR", "fsf-unlimited": "FSFUL",
    "artistic": "Artistic-1.0", "artistic-1": "Artistic-1.0", "artistic-2.0": "Artistic-2.0", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0",
    "mpl-2": "MPL-2.0", "cc-by-3.0": "CC-BY-3.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-2.5": "CC-BY-SA-2.5", "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0", "beerware": "Beerware", "afl-2.0": "AFL-2.0", "afl-2.1": "AFL-2.1", "sleepycat": "Sleepycat",
    "ofl-1.1": "OFL-1.1", "postgresql": "PostgreSQL", "epl-1.0": "EPL-1.0", "epl-2.0": "EPL-2.0", "boost-1.0": "BSL-1.0",
    "bsl-1.0": "BSL-1.0",
    "zpl-2.1": "ZPL-2.1", "unlicense": "Unlicense", "wtfpl": "WTFPL", "wtfpl-2": "WTFPL", "unicode-dfs-2016": "Unicode-DFS-2016",
    "bzip2-1.0.6": "bzip2-1.0.6", "ms-pl": "MS-PL", "tcl": "TCL", "ijg": "IJG", "gfdl-niv-1.3": "GFDL-1.3-no-invariants-only",
    "gfdl-niv-1.3+": "GFDL-1.3-no-invariants-or-later", "gfdl-1.2": "GFDL-1.2-only", "gfdl-1.2+": "GFDL-1.2-or-later",
    "gfdl-1.3": "GFDL-1.3-only", "gfdl-1.3+": "GFDL-1.3-or-later", "edl-1.0": "BSD-3-Clause", "psf-2": "PSF-2.0", "w3c": "W3C",
}  # fmt: skip
"""DEP-5 short names, as Debian's packagers use them, to SPDX. A name that is not here has no truth."""
_CLASSIFIERS = {
    "MIT License": "MIT", "Apache Software License": "Apache-2.0", "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "The Unlicense (Unlicense)": "Unlicense",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only", "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later", "BSD License": "BSD-3-Clause",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later", "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.1-only", "Other/Proprietary License": "LicenseRef-Proprietary",
    "Zope Public License": "ZPL-2.1", "Historical Permission Notice and Disclaimer (HPND)": "HPND",
}  # fmt: skip
"""Classifiers to a licence of the same family and class; all but the BSD, Apache and LGPL ones name exactly it."""


class Text(NamedTuple):
    """One text: where it is from, and the SPDX expression its own writers declared, None where the table knows none."""

    kind: str
    where: str
    text: str
    truth: str | None
    held_out: bool


def main() -> None:
    """Read the machine's texts, ask the filter, print what came out."""
    arguments = options("licenses", __doc__)
    arguments.add_argument("--half", choices=["both", "development", "held-out"], default="both")
    arguments.add_argument("--wrong", action="store_true", help="list every text not answered rightly")
    given = arguments.parse_args()
    os.sched_setaffinity(0, {given.core})
    before = os.getloadavg()
    texts = _once([*_debian(), *_common(), *_python()])
    report: dict[str, object] = {**machine(), "load average": {"before": before, "after": before}}
    for half in ("development", "held-out"):
        if given.half in ("both", half):
            report[half] = judged([one for one in texts if one.held_out == (half == "held-out")], half, given.wrong)
    report["load average"] = {"before": before, "after": os.getloadavg()}
    save("licenses", given, report)


def _held_out(name: str) -> bool:
    return bool(hashlib.sha256(name.encode()).digest()[0] & 1)


def _once(texts: list[Text]) -> list[Text]:
    """Each text once: that of the development half stays."""
    first: dict[tuple[str, str], Text] = {}
    for one in sorted(texts, key=lambda one: (one.held_out, one.where)):
        first.setdefault((one.kind, " ".join(one.text.split())), one)
    return list(first.values())


def _debian() -> Iterator[Text]:
    files = {path.read_bytes(): path for path in sorted(_DEBIAN.glob("*/copyright"), reverse=True)}
    for data, path in files.items():
        content = data.decode("utf-8", "replace")
        if "copyright-format/1.0" not in content[:3000]:
            continue
        where = path.parent.name
        half = _held_out(where)
        truths = []
        for match in re.finditer(r"^License:[ \t]*(.*)\n((?:[ \t].*\n?)*)", content, re.MULTILINE):
            title, body = match[1].strip(), re.sub(r"^[ \t]\.?", "", match[2], flags=re.MULTILINE)
            truth = spdx(title)
            truths.append(truth)
            if len(body.split()) >= 8:
                yield Text("debian text", f"{where}: {title}", body, truth, half)
            if title:
                yield Text("debian name", f"{where}: {title}", title, truth, half)
        known = [truth for truth in truths if truth]
        bare = re.sub(r"^License:.*$|^(?:Files|Copyright|Comment|Source|Upstream-\w+|Format|Disclaimer):", "", content, flags=re.MULTILINE)
        yield Text(
            "debian file",
            where,
            bare,
            " AND ".join(f"({truth})" for truth in sorted(set(known))) if len(known) == len(truths) else None,
            half,
        )


def spdx(name: str) -> str | None:
    """A DEP-5 licence field as SPDX, None if the table does not know all of it."""
    made = []
    words = re.sub(r",? and/or ", " unclear ", re.sub(r", (and|or) ", r" \1 ", name.strip()))
    for word in re.split(r"( and | or )", words):
        bare = word.strip().lower()
        if bare in ("and", "or"):
            made.append(bare.upper())
            continue
        short = re.sub(r" with .* exception$", "", bare)
        gnu = _GNU.fullmatch(short)
        if gnu:
            family = f"{(gnu[1] or '').upper()}GPL"
            made.append(
                f"{family}-{gnu[2]}.{gnu[3] or 0}-{'or-later' if gnu[4] else 'only'}"
                if gnu[2]
                else f"{family}-{'2' if gnu[1] else '1'}.0-or-later"
            )
        elif _NAMES.get(short):
            made.append(str(_NAMES[short]))
        else:
            return None
    return " ".join(made)


def _common() -> Iterator[Text]:
    for path in sorted(_COMMON.glob("*")):
        truth = None if path.is_symlink() or path.name == "BSD" else spdx(path.name)
        yield Text("common", path.name, path.read_text("utf-8", "replace"), truth, _held_out(path.name))


def _python() -> Iterator[Text]:
    for package in sorted(distributions(), key=lambda one: str(one.name)):
        name, meta = str(package.name), package.metadata
        half = _held_out(name.lower())
        field, spdx = meta.get("License"), meta.get("License-Expression")
        classifiers = [line for line in meta.get_all("Classifier") or [] if line.startswith("License ::")]
        ends = {line.rsplit(" :: ", 1)[1] for line in classifiers} - {"OSI Approved"}
        classified = _CLASSIFIERS.get(next(iter(ends))) if len(ends) == 1 else None
        by_field = expression(field) if field and len(field) < 80 else None
        truth = spdx or classified
        files = _licence_files(package)
        if len(files) == 1:
            yield Text("python text", f"{name}: {files[0].name}", files[0].read_text("utf-8", "replace"), truth, half)
        if field and field != "UNKNOWN":
            yield Text("python field", f"{name}: License", field, truth, half)
        if classifiers:
            yield Text("python field", f"{name}: classifiers", "\n".join(classifiers), spdx or (by_field and by_field.expression), half)


def _licence_files(package: Distribution) -> list[Path]:
    named = re.compile(r"\.dist-info/(?:licenses/)?(?:.*/)?(?:licen[cs]e|copying|copyright|notice|unlicense)[^/]*$", re.IGNORECASE)
    paths = [Path(str(package.locate_file(path))) for path in package.files or [] if named.search(str(path))]
    return [path for path in paths if path.is_file()]


def judged(texts: list[Text], half: str, wrong: bool) -> dict[str, Any]:
    """Ask the filter about every text, print what came out and return it."""
    started = time.process_time()
    rows = pl.DataFrame({"license": [one.text for one in texts]})
    absent = [pl.lit(None, pl.String).alias(role) for role in declared.roles if role != "license"]
    answers = declared(rows.with_columns(absent)).rows(named=True)
    seconds = time.process_time() - started
    print(f"\n{half} half: {len(texts)} texts, {len(texts) / seconds:.0f} a second of processor time")
    print(f"{'':14} texts  truth  answered  precision  same licence  recall  worse")
    kinds: dict[str, object] = {}
    for kind in [*dict.fromkeys(one.kind for one in texts), "all"]:
        some = [(one, answer) for one, answer in zip(texts, answers, strict=True) if kind in (one.kind, "all")]
        kinds[kind] = _figures(kind, some)
    confusion: collections.Counter[tuple[str, str]] = collections.Counter()
    worse, free = [], []
    for one, answer in zip(texts, answers, strict=True):
        true, got = _class(one.truth), str(answer["class"])
        confusion[true or "no truth", got] += 1
        if true is None and got in CLASSES[:2]:
            free.append(f"{one.kind}  {one.where}: {answer['expression']}")
        if true is not None and CLASSES.index(true) > CLASSES.index(got):
            worse.append(f"{one.kind}  {one.where}: is {one.truth}, answered {answer['expression']}")
        if wrong and one.truth and (got != true or not _same(one, answer["expression"])):
            print(f"  {one.kind}  {one.where}: {one.truth} | {got} {answer['expression']} | {answer['evidence']}")
    print("\nconfusion (truth: answers)")
    for true in [*CLASSES, "no truth"]:
        row = {got: n for (kind, got), n in confusion.items() if kind == true}
        if row:
            print(f"  {true:16} {', '.join(f'{got} {n}' for got, n in sorted(row.items(), key=lambda item: -item[1]))}")
    print(f"answered more open than declared: {len(worse)}", *worse, sep="\n  ")
    if wrong:
        print(f"answered open where the table knows no truth: {len(free)}", *free, sep="\n  ")
    return {"texts": len(texts), "a second": round(len(texts) / seconds), "kinds": kinds, "worse": worse,
            "confusion": {f"{true} as {got}": n for (true, got), n in sorted(confusion.items())}}  # fmt: skip


def _figures(kind: str, some: list[tuple[Text, dict[str, object]]]) -> dict[str, float]:
    known = [(one, answer) for one, answer in some if one.truth]
    answered = [(one, answer) for one, answer in known if answer["class"] != "unknown"]
    right = [(one, answer) for one, answer in answered if answer["class"] == _class(one.truth)]
    same = sum(_same(one, answer["expression"]) for one, answer in answered)
    worse = sum(CLASSES.index(str(_class(one.truth))) > CLASSES.index(str(answer["class"])) for one, answer in known)
    precision, recall = len(right) / max(1, len(answered)), len(right) / max(1, len(known))
    shares = f"{precision:9.3f}  {same / max(1, len(answered)):12.3f}  {recall:6.3f}"
    print(f"{kind:14} {len(some):5}  {len(known):5}  {len(answered):8}  {shares}  {worse:5}")
    figures = {"texts": len(some), "truth": len(known), "answered": len(answered), "precision": precision, "recall": recall, "worse": worse}
    return figures | {"same licence": same / max(1, len(answered))}


def _class(truth: str | None) -> str | None:
    kinds = [str(_kind(each)) for each in truth.split(") AND (")] if truth else []
    return max(kinds, key=CLASSES.index) if kinds else None


@functools.cache
def _kind(truth: str) -> str | None:
    found = expression(truth.strip("()"))
    return found.kind if found else None


def _same(one: Text, got: object) -> bool:
    """Whether the same licences are named. Only names must agree in `or later`, which a licence's text does not say; BSD, Apache and
    Artistic may lack their number."""
    if one.kind == "debian file":
        return True
    true, said = (_stems(str(text), one.kind == "debian name") for text in (one.truth, got or ""))
    return all(any(a.startswith(b) for b in said) for a in true) and all(any(a.startswith(b) for a in true) for b in said)


def _stems(text: str, later: bool) -> set[str]:
    """The licences of an expression: of a family without its number its name, without exceptions, which the table leaves out."""
    stems = set()
    for key in LICENSING.license_keys(text, unique=True):
        bare = re.sub(r"^LicenseRef-" if later else r"^LicenseRef-|-(only|or-later)$", "", key)
        stems.add(
            {
                "X11": "MIT",
                "BSD-4-Clause-UC": "BSD-4-Clause",
                "BSD-2-Clause-NetBSD": "BSD-2-Clause",
                "Artistic-1.0-Perl": "Artistic-1.0",
            }.get(bare, bare)
        )
    return {each for each in stems if "exception" not in each and not each.endswith("-note")}


if __name__ == "__main__":
    main()
