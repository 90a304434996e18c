"""What a web page and the headers it came with say of its licence and of its use: links, meta tags, JSON-LD, TDMRep, robots directives."""

import html
import json
import re
from typing import NamedTuple

_TAG = re.compile(r"<(a|area|link|meta|span|div|p|img)\s([^<>]{1,4000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([a-z][\w:.-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
_SCRIPT = re.compile(r"<script[^<>]{0,200}application/ld\+json[^<>]{0,200}>", re.IGNORECASE)
_LINKED_LICENCE = re.compile(r"\"license\"\s*:\s*(?:\"([^\"]+)\"|\{[^{}]*?\"(?:@id|url)\"\s*:\s*\"([^\"]+)\")")
_HEADER_LINK = re.compile(r"<([^<>]+)>\s*;[^,<]*\brel\s*=\s*\"?[^\",;]*\blicense\b", re.IGNORECASE)
_KNOWN = re.compile(r"creativecommons\.org/(?:licen[cs]es|publicdomain)/|rightsstatements\.org/(?:vocab|page)/", re.IGNORECASE)

_RELATIONS = {"license", "cc:license", "dct:license", "dcterms:license", "xhv:license", "schema:license"}
_RIGHTS = {
    "license", "dc.rights", "dc.rights.license", "dc.license", "dcterms.rights", "dcterms.license", "dcterms.rights.license", "rights",
    "copyright",
    "rights-standard", "citation_license", "og:license", "eprints.rights",
}  # fmt: skip


class Page(NamedTuple):
    """`claims` are (kind, what is claimed), strongest kinds first; reservations are None where nothing speaks of them."""

    claims: list[tuple[str, str]]
    reserved: bool | None
    policy: str | None
    directives: frozenset[str]


def read_page(source: str) -> Page:
    """What an HTML page declares. Broken markup is read as far as it goes; comments are not."""
    before, *commented = source.split("<!--")
    source = " ".join([before, *(each.partition("-->")[2] for each in commented)])
    claims: dict[str, list[str]] = {"rel=license": [], "json-ld": [], "meta": [], "link": []}
    said: dict[str, str] = {}
    directives: set[str] = set()
    for tag in _TAG.finditer(source):
        given = {match[1].lower(): html.unescape(match[2] or match[3] or match[4] or "").strip() for match in _ATTRIBUTE.finditer(tag[2])}
        target = given.get("href") or given.get("resource") or given.get("content") or ""
        relations = f"{given.get('rel', '')} {given.get('property', '')} {given.get('itemprop', '')}".lower().split()
        if tag[1].lower() == "meta":
            name = (given.get("name") or given.get("property") or given.get("itemprop") or given.get("http-equiv") or "").lower()
            if name in _RIGHTS:
                claims["meta"].append(target)
            elif name.startswith("tdm-"):
                said.setdefault(name, target)
            elif name == "robots" or name.endswith("bot"):
                directives |= _directives(target)
        elif target and _RELATIONS.intersection(relations):
            claims["rel=license"].append(target)
        elif _KNOWN.search(target):
            claims["link"].append(target)
    for block in _SCRIPT.split(source)[1:]:
        linked = block.partition("</")[0]
        claims["json-ld"] += [(match[1] or match[2]).replace("\\/", "/") for match in _LINKED_LICENCE.finditer(linked)]
    once = [(kind, claim) for kind, every in claims.items() for claim in dict.fromkeys(every)]
    return Page(once, _reserved(said.get("tdm-reservation")), said.get("tdm-policy"), frozenset(directives))


def read_headers(source: str) -> Page:
    """What HTTP headers declare, given as lines `Name: value` or as a JSON object."""
    claims: list[tuple[str, str]] = []
    said: dict[str, str] = {}
    directives: set[str] = set()
    for name, value in _headers(source):
        if name == "link":
            claims += [("header", match[1].strip()) for match in _HEADER_LINK.finditer(value)]
        elif name in ("tdm-reservation", "tdm-policy"):
            said.setdefault(name, value)
        elif name == "x-robots-tag":
            directives |= _directives(value)
    return Page(claims, _reserved(said.get("tdm-reservation")), said.get("tdm-policy"), frozenset(directives))


def _headers(source: str) -> list[tuple[str, str]]:
    if source.lstrip().startswith("{"):
        try:
            given = json.loads(source)
        except (ValueError, RecursionError):
            return []
        return [(str(name).lower(), str(each)) for name, value in given.items() for each in (value if isinstance(value, list) else [value])]
    lines = [line.partition(":") for line in source.splitlines()]
    return [(name.strip().lower(), value.strip()) for name, _, value in lines]


def _reserved(value: str | None) -> bool | None:
    """TDM Reservation Protocol (W3C community group report of 2024-05-10): 1 reserves, 0 does not, anything else says nothing."""
    return {"1": True, "0": False}.get((value or "").strip())


def _directives(value: str) -> set[str]:
    """noai and noimageai, to whomever addressed: `examplebot: noai` counts too."""
    return set(re.findall(r"\bno(?:image)?ai\b", value.lower()))
