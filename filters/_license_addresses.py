"""The licences that addresses name: Creative Commons in every form, rightsstatements.org, and the pages where licences are published."""

import re

from filters._license_names import ALL_RIGHTS_RESERVED
from filters._licenses import RIGHTS, Found, cc, expression, name

_CC_URL = re.compile(
    r"(?<![\w.-])(?:https?:/?/?)?(?:www\.)?creativecommons\.org/\s*(licen[sc]es|publicdomain)/\s*([a-z][a-z+-]*)"
    r"(?:/\s*(\d\.\d)(?=$|[/\s\"'<>#?,;)\]]|\.(?!\d)))?"
    r"(?:/(igo|scotland|[a-z]{2})(?=$|[/\s\"'<>#?.,;)\]]))?"
    r"(?:/(?:deed|legalcode)[.\w-]*)?(?:/|[?#][^\s\"'<>,;)\]]*)*",
    re.IGNORECASE,
)


_RIGHTS_URL = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?rightsstatements\.org/(?:vocab|page)/([a-z-]+)/(1\.0)/?(?:\?[^\s\"'<>]*)?", re.IGNORECASE
)


_OTHER_URL = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?"
    r"(?:opensource\.org/licenses?/|spdx\.org/licenses/|gnu\.org/licenses/(?:old-licenses/)?|(apache)\.org/licenses/)"
    r"([a-z0-9.-]+?)(?:\.html|\.txt|-license\.php)?(?=$|[/\s\"'<>#?,;)\]])/?",
    re.IGNORECASE,
)


_RESERVED = re.compile(
    r"\b(?:all rights? reserved|alle rechte vorbehalten|tous droits r[ée]serv[ée]s|todos los derechos reservados|tutti i diritti riservati"
    r"|alle rechten voorbehouden|todos os direitos reservados|все права защищены)\b",
    re.IGNORECASE,
)


def addresses(text: str) -> tuple[list[Found], str]:
    """The licences that addresses and reservations of rights in a text name, and the text without them."""
    found: list[Found] = []
    for pattern, read in ((_CC_URL, _cc_address), (_RIGHTS_URL, _rights_address), (_OTHER_URL, _other_address)):
        for match in pattern.finditer(text):
            one = read(match)
            if one:
                found.append(one)
        text = pattern.sub(lambda match, read=read: " ; " if read(match) else match[0], text)  # type: ignore[misc]
    if _RESERVED.search(text):
        found.append(Found(ALL_RIGHTS_RESERVED, "proprietary", "notice"))
        text = _RESERVED.sub(" ; ", text)
    return found, text


def _cc_address(match: re.Match[str]) -> Found | None:
    where, kind, version, port = match[1].lower(), match[2].lower(), match[3], match[4]
    if where == "publicdomain":
        made = {"zero": "CC0-1.0", "mark": "CC-PDM-1.0", "certification": "CC-PDDC"}.get(kind)
        return Found(made, "public-domain", "creative commons address") if made else None
    if kind == "publicdomain":
        return Found("CC-PDDC", "public-domain", "creative commons address")
    return cc(kind, version, port, "creative commons address")


def _rights_address(match: re.Match[str]) -> Found | None:
    code = {known.lower(): known for known in RIGHTS}.get(match[1].lower())
    return Found(f"LicenseRef-RS-{code}-{match[2]}", RIGHTS[code], "rights statement") if code else None


def _other_address(match: re.Match[str]) -> Found | None:
    found = name(f"apache {match[2]}") if match[1] else expression(match[2]) or name(match[2])
    return found._replace(how="address") if found else None
