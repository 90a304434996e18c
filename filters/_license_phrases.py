"""Short phrases by which licence texts and grants are known, over words: lower case, single spaces, no punctuation but the point in 2.0."""

import re
from typing import NamedTuple


class Template(NamedTuple):
    """A licence's text or standard grant: patterns in the order they come, each within `gap` characters of the one before.

    `needs` is a piece of the first pattern, looked for before the pattern is.

    With `whole`, everything from the first pattern to the last is the licence; without, only what the patterns match is explained, so that
    a condition written between them is seen. `also` may follow anywhere after and is explained too.
    """

    key: str
    needs: str
    parts: tuple[str, ...]
    gap: int = 400
    whole: bool = False


DISCLAIMERS = (
    r"\b(?:in no event|under no circumstances|in no case|nor)(?: and under no legal theory)? (?:shall|will|is|are|must|does)\b .{0,900}?"
    r"(?:possibility of (?:such|any) (?:loss or |potential )?damages?|dealings in (?:the|this) [a-z]+(?: or documentation)?|(?:use or|or) performance of this [a-z]+"
    r"|arising (?:from|out of) (?:the|its|any) use(?: or inability to use| or distribution)?(?: of)? (?:this|the)? ?[a-z]+)",
    r"\b(?:this |the )?(?:[a-z]+ ){1,3}?(?:is|are|was|were) (?:provided|distributed|supplied|being provided) (?:by .{0,200}?)?(?:to you )?(?:on an )?(?:as is|in the hope)\b"
    r".{0,500}?(?:non ?infringe\w*|are (?:hereby )?disclaimed|particular purpose(?: or otherwise)?|express(?:ed)? or implied warrant(?:y|ies)|warrant(?:y|ies) of any kind|any warranty)",
)
"""What is said of warranty and damages, in words that grants use too."""

_MIT_START = r"permission is hereby granted free of charge to any person obtaining a copy of (?:this|the) .{0,200}? to deal in the .{0,40}? without restriction"
_MIT_RIGHTS = (
    r"including without limitation the rights to use copy .{0,200}? permit persons to whom the .{0,40}? (?:is|are) furnished to do so"
)
_MIT_NOTICE = r"(?:subject to the following conditions )?the \w+ copyright notices? (?:and|including) .{0,120}? (?:shall be included in all|appear in all) (?:copies or substantial portions of|copies of) the .{0,120}?(?:software|materials|font software|documentation|work|program)\b"
_BSD_START = r"redistributions? and use (?:of (?:this software|\w+(?: \w+){0,3}?) )?in source and binary forms? (?:of \w+(?: \w+){0,3}? )?with or without modifications? (?:are|is) (?:hereby )?permitted provided that (?:the )?following conditions are met"
_BSD_SOURCE = r"redistributions? (?:of|in) source code must (?:retain|reproduce) (?:the|any|all) .{0,60}?copyright notices?\b.{0,160}?\bdisclaimers?(?: of warrant(?:y|ies))?(?: and the url [a-z0-9. ]+)?"
_BSD_BINARY = r"redistributions? in binary form must (?:re)?produce (?:the|any|all) .{0,40}?copyright notices?\b.{0,140}?\bin the documentation and or other materials provided with (?:the|such) distributions?"
_BSD_NAME = r"(?:neither the names? .{0,250}? (?:may|can|must|shall) be used to|(?:the )?names? .{0,160}? (?:may|must|shall|should) not be used to|neither the names? .{0,250}? used to) (?:endorse or promote|promote or endorse) products derived from (?:this|the) software without .{0,60}?permission(?: of [a-z ]{0,40}?authors?)?"
_BSD_ADVERT = r"all advertising materials mentioning features or use of this software must display the following acknowledge?ment this product includes software developed by .{0,120}?(?=neither|the names?|redistributions|4\b)"
_ISC_START = r"permission to use copy modify (?:and (?:or )?|and)?distribute this (?:software|file|code)(?: and its documentation)? for any (?:purpose|use) with or without fee is hereby granted"
_ISC_NOTICE = r"provided that the \w+ copyright notices? and this permission notice appear in all copies"
_HPND_START = r"permission to use copy modify (?:and )?(?:or )?distribute (?:and sell )?this software and its documentation (?:for any purpose|for any and all purposes)(?: and)? without fee (?:is hereby granted)"
_HPND_NOTICE = r"provided that (?:the \w+ copyright notice|this copyright notice|the copyright notice) .{0,200}?appears? in .{0,30}?supporting documentation"
_HPND_NAME = r"(?:and )?(?:that )?the names? .{0,200}? not be used in advertising or publicity pertaining to (?:the )?distribution of the software without .{0,60}?(?:permission|authorization)(?: .{0,20}?makes no representations? about the suitability of this software for any purpose it is provided as is without express or implied warranty)?"
_FSF = r"(?:this (?:file|configure script|makefile(?:.in)?) is free software )?(?:the )?(?:free software foundation|authors?)(?: inc| s)? gives? unlimited permission to copy and or distribute it with or without modifications as long as this notice is preserved"

TEMPLATES = (
    # The most specific first: what one explains no other sees.
    Template("X11", "permission is hereby granted free of charge to", (_MIT_START, _MIT_RIGHTS, _MIT_NOTICE, r"except as contained in this notice the names? .{0,160}? shall not be used in advertising or otherwise to promote the sale use or other dealings in this software without prior written authorization(?: from .{0,60}?(?:consortium|authors?|holders?|group|foundation|inc)\b)?"), 1300),
    Template("NCSA", "permission is hereby granted free of charge to", (_MIT_START, _MIT_RIGHTS, r"redistributions of source code must retain .{0,80}? disclaimers?", r"redistributions in binary form must reproduce .{0,160}? distribution", r"neither the names? .{0,160}? nor the names? .{0,160}? permission")),
    Template("MIT", "permission is hereby granted free of charge to", (_MIT_START, _MIT_RIGHTS, _MIT_NOTICE)),
    Template("MIT-0", "permission is hereby granted free of charge to", (_MIT_START, _MIT_RIGHTS, r"(?=the software is provided as is)")),
    Template("BSL-1.0", "permission is hereby granted free of charge to", (r"permission is hereby granted free of charge to any person or organization obtaining a copy of the software and accompanying documentation covered by this license", r"machine executable object code generated by a source language processor"), 1200, True),
    Template("BSD-3-Clause-Clear", "permitted subject to the limitations in the", (_BSD_START.replace("provided that", r"subject to the limitations in the disclaimer \w+ provided that"), _BSD_SOURCE, _BSD_BINARY, _BSD_NAME, r"no express or implied licenses to any party s patent rights are granted by this license")),
    Template("BSD-4-Clause", "with or without modification", (_BSD_START, _BSD_SOURCE, _BSD_BINARY, _BSD_ADVERT, _BSD_NAME)),
    Template("BSD-3-Clause", "with or without modification", (_BSD_START, _BSD_SOURCE, _BSD_BINARY, _BSD_NAME)),
    Template("BSD-2-Clause", "with or without modification", (_BSD_START, _BSD_SOURCE, _BSD_BINARY)),
    Template("bzip2-1.0.6", "with or without modification", (_BSD_START, _BSD_SOURCE, r"the origin of this software must not be misrepresented .{0,200}? not required", r"altered source versions must be plainly marked as such and must not be misrepresented as being the original software", r"the name of the author may not be used to .{0,40}? products derived from this software without .{0,30}?permission")),
    Template("BSD-1-Clause", "with or without modification", (_BSD_START, _BSD_SOURCE)),
    Template("curl", "with or without fee is hereby granted", (_ISC_START, _ISC_NOTICE, r"except as contained in this notice the name of a copyright holder shall not be used in advertising .{0,160}? authorization of the copyright holder"), 900),
    Template("ISC", "with or without fee is hereby granted", (_ISC_START, _ISC_NOTICE)),
    Template("dtoa", "permission to use copy modify and distribute", (r"permission to use copy modify and distribute this software for any purpose without fee is hereby granted", r"provided that this entire notice is included in all copies of any software which is or includes a copy or modification of this software and in all copies of the supporting documentation for such software")),
    Template("0BSD", "with or without fee is hereby granted", (_ISC_START, r"(?=the software is provided as is)"), 2),
    Template("PostgreSQL", "permission to use copy modify and distribute", (r"permission to use copy modify and distribute this software and its documentation for any purpose without fee and without a written agreement is hereby granted", r"copyright notice and this paragraph and the following two paragraphs appear in all copies")),
    Template("HPND", "this software and its documentation for any", (_HPND_START, _HPND_NOTICE, _HPND_NAME)),
    Template("HPND", "this software and its documentation for any", (_HPND_START, _HPND_NOTICE)),
    Template("FSFAP", "copying and distribution of this file with or", (r"copying and distribution of this file with or without modification are permitted in any medium without royalty provided the copyright notice and this notice are preserved",)),
    Template("FSFULLR", "unlimited permission to copy and or distribute", (_FSF,)),
    Template("FSFUL", "the free software foundation gives unlimited", (r"(?:this configure script is free software )?the free software foundation gives unlimited permission to copy distribute and modify it",)),
    Template("Zlib", "be held liable for any damages arising from the", (r"in no event (?:will|shall) the authors? be held liable for any damages arising from the use of this software", r"permission is granted to anyone to use this software for any purpose including commercial applications and to alter it and redistribute it freely subject to the following restrictions", r"the origin of this software must not be misrepresented .{0,260}? not required", r"altered source versions must be plainly marked as such and must not be misrepresented as being the original software", r"this notice may not be removed or altered from any (?:source )?distribution")),
    Template("Apache-2.0", "apache license version 2", (r"apache license version 2.0 january 2004", r"end of terms and conditions", r"appendix how to apply the apache license to your work", r"limitations under the license"), 12000, True),
    Template("Apache-2.0", "apache license version 2", (r"apache license version 2.0 january 2004", r"accepting any such warranty or additional liability(?: end of terms and conditions)?"), 12000, True),
    Template("Apache-2.0", "licensed under the apache license version 2", (r"licensed under the apache license version 2.0 (?:the license )?you may not use", r"limitations under the license"), 700, True),
    Template("Apache-2.0 WITH LLVM-exception", "as an exception if as a result of your", (r"(?:llvm exceptions to the apache 2.0 license )?as an exception if as a result of your compiling your source code", r"with respect to (?:the|such) combined software"), 1500, True),
    Template("TCL", "the authors hereby grant permission to use copy", (r"the authors hereby grant permission to use copy modify distribute and license this software and its documentation for any purpose provided that existing copyright notices are retained in all copies", r"no written agreement license or royalty fee is required for any of the authorized uses"), 300),
    Template("AFL-2.0", "academic free license v", (r"academic free license v(?:ersion)? ?2.0", r"may not be modified without the express written permission of its copyright owner"), 14000, True),
    Template("AFL-2.1", "academic free license v", (r"academic free license v(?:ersion)? ?2.1", r"may not be modified without the express written permission of its copyright owner"), 14000, True),
    Template("AFL-2.1", "academic free license v", (r"academic free license v(?:ersion)? ?2.1",)),
    Template("MPL-2.0", "mozilla public license version 2", (r"mozilla public license version 2.0", r"exhibit b incompatible with secondary licenses notice .{0,200}?defined by the mozilla public license v (?:ersion )?2.0"), 17000, True),
    Template("MPL-2.0", "is subject to the terms of the mozilla public", (r"(?:this source code form|this software|this file|this library) is subject to the terms of the mozilla public license v(?:ersion)? ?2.0(?: if a copy of the mpl was not distributed with this file you can obtain one at)?",)),
    Template("MPL-1.1", "mozilla public license version 1", (r"mozilla public license version 1.1", r"exhibit a mozilla public license .{0,2500}?(?:modified|source code) (?:version|form|files?)?"), 26000, True),
    Template("MPL-1.1", "contents of this file are subject to the", (r"contents of this file are subject to the mozilla public license version 1.1 the license", r"limitations under the license"), 700, True),
    Template("EPL-2.0", "eclipse public license v", (r"eclipse public license v(?:ersion)? ?2.0", r"exhibit a form of secondary licenses notice .{0,900}?(?:license terms|file)?"), 16000, True),
    Template("EPL-2.0", "eclipse public license v", (r"eclipse public license v(?:ersion)? ?2.0",)),
    Template("EPL-1.0", "eclipse public license v", (r"eclipse public license v(?:ersion)? ?1.0", r"waives its rights to a jury trial in any resulting litigation"), 14000, True),
    Template("EPL-1.0", "eclipse public license v", (r"eclipse public license v(?:ersion)? ?1.0",)),
    Template("EUPL-1.2", "european union public licen", (r"european union public licen[cs]e v(?:ersion)? ?1.2",)),
    Template("CDDL-1.0", "common development and distribution license", (r"common development and distribution license (?:cddl )?version 1.0",)),
    Template("CPL-1.0", "common public license v", (r"common public license v(?:ersion)? ?1.0",)),
    Template("Artistic-2.0", "artistic license 2", (r"(?:the )?artistic license 2.0", r"everyone is permitted to copy and distribute verbatim copies", r"possibility of such damage"), 10000, True),
    Template("Artistic-1.0", "artistic license", (r"(?:the )?artistic license(?: \w+ \d+)? preamble", r"(?:merchantability and|merchantibility and|or) fitness for a particular purpose"), 8000, True),
    Template("PSF-2.0", "license", (r"(?:python software foundation|psf) license (?:agreement for python [0-9.]+|version 2)", r"licensee agrees to be bound by the terms and conditions of this license agreement"), 4500, True),
    Template("CNRI-Python", "license agreement", (r"cnri (?:open source )?license agreement(?: for python 1.6[.0-9]*)?", r"licensee agrees to be bound by the terms and conditions of this license agreement(?: accept)?"), 5500, True),
    Template("BeOpen-Python", "com license agreement", (r"beopen.com license agreement(?: for python 2.0)?", r"licensee agrees to be bound by the terms and conditions of this license agreement"), 4500, True),
    Template("CWI", "cwi license agreement", (r"cwi license agreement(?: for python 0.9.0 through 1.2)?", r"use or performance of this software"), 2500, True),
    Template("OFL-1.1", "sil open font license version 1", (r"sil open font license version 1.1", r"other dealings in the font software"), 6000, True),
    Template("OFL-1.1", "licensed under the sil open font license", (r"licensed under the sil open font license version 1.1",)),
    Template("WTFPL", "you just do what the fuck you want to", (r"you just do what the fuck you want to",)),
    Template("Unlicense", "this is free and unencumbered software released", (r"this is free and unencumbered software released into the public domain", r"(?:successors we intend this dedication .{0,200}? copyright law|by any means)"), 900, True),
    Template("CC0-1.0", "0 universal", (r"(?:creative commons legal code )?(?:creative commons )?cc0 1.0 universal", r"(?:creative commons is not a party to this document .{0,120}? use of the work|limitations on .{0,30}?affirmer .{0,2000}?use of the work)"), 9000, True),
    Template("CC0-1.0", "to the extent possible under law", (r"to the extent possible under law (?:the )?.{0,160}? (?:has|have) (?:waived|dedicated) all copyright and related (?:or|and) neighboring rights to .{0,80}?(?:public domain(?: worldwide)?|worldwide|without any warranty)(?: this \w+ is distributed without any warranty)?(?: (?:you should have received|see) .{0,20}?copy of the cc0 .{0,60}?(?:along with this \w+|licenses?))?",)),
    Template("OLDAP-2.8", "the openldap public license version 2", (r"the openldap public license version 2.8", r"openldap is a registered trademark of the openldap foundation(?: .{0,120}?verbatim copies of this document is granted)?"), 2800, True),
    Template("FTL", "the freetype project license", (r"the freetype project license", r"(?:end of ftl.txt|legal terms .{0,6000}?freetype.org)"), 9000, True),
    Template("Beerware", "ware license", (r"beer ?ware license", r"you can buy me a beer in return"), 600, True),
    Template("Unicode-DFS-2016", "permission is hereby granted free of charge to", (r"permission is hereby granted free of charge to any person obtaining a copy of the unicode data files", r"shall not be used in advertising .{0,200}? authorization of the copyright holder"), 2600, True),
    Template("Sleepycat", "redistributions in any form must be accompanied", (r"redistributions in any form must be accompanied by information on how to obtain complete source code",)),
    Template("LicenseRef-Commons-Clause", "commons clause license condition", (r"commons clause license condition",)),
    Template("BUSL-1.1", "business source license 1", (r"business source license 1.1",)),
    Template("SSPL-1.0", "server side public license", (r"server side public license",)),
    Template("GPL-1.0-or-later OR Artistic-1.0-Perl", "terms as", (r"(?:same|the) terms as (?:the )?perl(?: ?5?(?: programming language)?(?: system)?)? itself", )),
)  # fmt: skip

CLOSED = (
    (r"\b(?:for|to|of|is|are|strictly|only|limited to|exclusively)(?: \w+){0,3} non ?commercial(?:ly)?\b|\bnon ?commercial (?:use|purposes?|only)\b"
     r"|\b(?:not|no|prohibits?|forbidden|forbids?)(?: \w+){0,8} commercial(?:ly)? (?:use|purposes?|advantage|gain|exploitation|product|sale)?\b"
     r"|\bnot (?:\w+ ){0,3}(?:be sold|for sale|sell)\b|\b(?:personal|private|academic|educational|research|scientific) (?:use|purposes?) only\b"
     r"|\bonly (?:for|in) (?:\w+ ){0,2}(?:academic|educational|research|personal|private|scientific)\b", "LicenseRef-Non-Commercial"),
    (r"\b(?:no|without) (?:derivatives?|derivative works)\b|\bmay not (?:be )?(?:\w+ ){0,2}(?:modif(?:y|ied)|alter(?:ed)?)\b|\bchanging it is not allowed\b"
     r"|\bverbatim copies only\b|\bnot (?:\w+ ){0,2}(?:create|make|prepare) (?:\w+ ){0,2}derivative\b", "LicenseRef-No-Derivatives"),
    (r"\bconfidential\b|\bproprietary (?:software|license|licence|information)\b|\bend user licen[cs]e agreement\b|\bunauthori[sz]ed (?:copying|use|reproduction)\b"
     r"|\bevaluation (?:purposes|use|only)\b|\breverse engineer\b|\blicense agreement for\b", "LicenseRef-Proprietary"),
)  # fmt: skip
"""What withholds, wherever it is written, and what it makes of a text; read only where no licence that is known says it."""

HARMLESS = (
    r"\b(?:this|the) licen[cs]e (?:document )?may not be modified\b|\blicen[cs]e document but changing it is not allowed\b|\bgnu\.org copyleft\b",
    r"\b(?:both )?commercial(?:ly)? (?:or|and|as well as) non ?commercial(?:ly)?\b|\bnon ?commercial(?:ly)? (?:or|and|as well as) commercial(?:ly)?\b",
    r"\bgpl(?: v?\d(?:\.\d)?)? ?compatible\b|\bcompatible with the (?:gnu )?(?:gpl|general public licen[cs]e)\b",
)
"""What sounds like a restriction and is none."""

MENTIONS = (
    ("mozilla", r"\bmozilla public licen[cs]e(?: v(?:ersion)?)? ?2(?:\.0)?\b", "MPL-2.0", "mention"),
    ("mozilla", r"\bmozilla public licen[cs]e(?: v(?:ersion)?)? ?1\.1\b", "MPL-1.1", "mention"),
    ("mozilla", r"\bmozilla public licen[cs]e\b", "LicenseRef-MPL", "mention"),
    ("mpl", r"\bmpl ?v? ?2(?:\.0)?\b", "MPL-2.0", "mention"),
    ("mpl", r"\bmpl ?v? ?1\.1\b", "MPL-1.1", "mention"),
    ("mpl", r"\bmpl\b", "LicenseRef-MPL", "mention"),
    ("eclipse", r"\beclipse public licen[cs]e\b", "LicenseRef-EPL", "mention"),
    ("common dev", r"\bcommon development and distribution licen[cs]e\b", "CDDL-1.0", "mention"),
    ("cddl", r"\bcddl\b", "CDDL-1.0", "mention"),
    ("european", r"\beuropean union public licen[cs]e\b", "EUPL-1.2", "mention"),
    ("eupl", r"\beupl\b", "EUPL-1.2", "mention"),
    ("artistic", r"\bartistic licen[cs]e 2(?:\.0)?\b", "Artistic-2.0", "mention"),
    ("artistic", r"\bartistic licen[cs]e\b", "LicenseRef-Artistic", "mention"),
    ("rail", r"\bopen ?rail\b", "LicenseRef-OpenRAIL", "mention"),
    ("responsible", r"\bresponsible ai licen[cs]e\b", "LicenseRef-OpenRAIL", "mention"),
    ("copyleft", r"\bcopyleft\b", "LicenseRef-Copyleft", "mention"),
    ("alike", r"\bshare ?alike\b", "LicenseRef-Copyleft", "mention"),
    ("public domain", r"\b(?:in|into|in to|to|as|considered|is|are) (?:the |a )?public domain\b(?! (?:in|within|outside|only)\b)(?: by \w+ \w+)?"
     r"|\bpublic domain (?:software|work|code)\b|^(?:only )?public domain(?: stated)?$|\bpublic domain(?: stated)?$", "LicenseRef-Public-Domain", "statement"),
    ("copyright", r"\bno copyright is claimed\b|\bnot subject to copyright in any jurisdiction\b", "LicenseRef-Public-Domain", "statement"),
)  # fmt: skip
"""What is looked for by its name alone: a piece of the pattern, pattern, licence, kind of evidence."""

TITLES = (
    r"\b(?:the |a |an )?(?:new |modified |revised |simplified |\d clause |two clause |\w+ clause )*"
    r"(?:mit|x11|expat|isc|zlib|bsd(?: ?[234])?(?: \d clause)?|apache(?: software)?|boost software|python software foundation|psf|unlicense)"
    r"(?: style| mit| \d clause| new| original| simplified| or| revised| x11)* licen[cs]e[sd]?(?: version)?(?: \d(?:\.\d)?)?\b"
)
"""Names of licences that ask for no more than to be named: beside a text that was recognised they are its heading."""

BOILERPLATE = (
    r"\bthis licen[cs]e is (?:osi )?approved(?: by the osi(?: and fsf)?)?(?: as)?\b",
    r"\bbut (?:is )?not limited to\b|\bfiles excluded\b",
    r"\ball rights reserved\b",
    r"\bsee (?:the )?(?:accompanying |enclosed |file |included )*(?:licen[cs]e|copying|copyright)(?:\.\w+)?(?: file)?(?: for (?:more |further )?(?:details|information|terms))?\b",
    r"\b(?:this )?(?:software|file|package|code|library|program) is distributed in the hope that it will be useful\b",
    r"\bwithout (?:even the implied )?warranty\b.{0,120}?\bparticular purpose\b",
    r"\bspdx licen[cs]e expression\b(?: \S+)?(?: https? spdx\.org licen[cs]es)?|\bhttps? \S+(?: \S+)? licen[cs]es?(?: \S+)?\b",
    r"\b(?:with|under) this licen[cs]e\b|\bthe (?:full|complete) text of .{0,80}? (?:is|can be) (?:distributed|available|included|found) in\b",
    r"\blicen[cs]e\b(?=$)|^(?:the )?licen[cs]e\b|\blicen[cs]e (?=copyright|for )|\bend of terms and conditions\b|\blicen[cs]e text\b",
    r"\b(?:(?:is|are|was) )?(?:re ?)?(?:licen[cs]ed|distributed|released|available|covered|governed)(?: under| as| by| in| subject to)(?: the)?(?: terms of the)?(?: following| same)"
    r"(?: open source)?(?: licen[cs]es?)?(?: terms| conditions)?(?: reproduced \w+)?\b",
    r"\b(?:has|have|carry|carries|under) (?:the )?following (?:copyright (?:notice )?(?:and )?)?(?:licen[cs]e|permission|terms)(?: notice| terms)?\b|\blicen[cs]e(?: is)? as follows\b",
    r"\b(?:is|are) (?:distributed|licensed|released) (?:with|under) (?=;|$)",
)
"""What stands around licences and grants nothing."""

GRANTS = (
    r"\b(?:sub ?)?licen[cs]e[ds]?\b|\blicensing\b|\bpermi(?:ssions?|tted|ts?)\b|\bgrant(?:s|ed)?\b|\bre ?distribut\w*|\bdistributed\b|\bmust\b|\bshall\b"
    r"|\bmay (?:not|be|only)\b|\bprovided that\b|\brestrict\w*|\bprohibit\w*|\bconditions?\b|\bterms\b|\bfee\b|\broyalt\w+|\bcommercial\w*|\bfreely\b|\bpatents?\b"
    r"|\bexcept(?:ions?)?\b|\bexclud\w+|\bproprietary\b|\bhowever\b|\bother than\b|\bunless\b|\bbut\b"
)
"""Words by which something is granted or withheld. Where they are left over, not everything was understood."""

WORD = re.compile(r"[^\W_]+(?:\.[^\W_]+)*\+?")
HYPHEN = re.compile(r"(?<=[a-z])-[ \t]*\n[ \t*#.;/]*(?=[a-z])")  # a word broken at the end of a line
MONTH = r"(?:january|february|march|june|november)"
GNU_TEXT = re.compile(
    rf"gnu (affero |lesser |library )?(general public|free documentation) license version (\d(?:\.\d)?) (?:\d+ )?{MONTH} (?:\d+ )?\d{{4}}"
)
GNU_TEXT_END = re.compile(
    r"end of terms and conditions(?:.{0,5000}?(?:why not lgpl\.html|instead of this license|that s all there is to it))?"
    r"|permanent authorization for you to choose that version for the library|to permit their use in free software"
)
GNU = re.compile(
    r"(?:gnu )?(?:(affero |lesser |library )?(?:or (?:lesser |library ))?(general|free documentation)(?: public)? licen[cs]es?|\b(a|l)?(gpl|gfdl)(?=v?\d|\+| |$))"
    r"(?: (?:agpl|lgpl|gpl|gfdl))?"
)
VERSION_AFTER = re.compile(r"\s?(?:\w+\s){0,9}?v(?:ersions?)?[ .]?(\d(?:\.\d+)?)\b|\s?v?(\d(?:\.\d)?)\b")
VERSION_BEFORE = re.compile(r"\bversions? (\d(?:\.\d)?)((?: \w+){0,7}?)(?: of)? the(?: terms of the)? $")
LATER = re.compile(r"\+|\b(?:or|and) (?:at your option )?(?:any |a )?(?:later|newer|higher|greater)\b|\bor at your option any later\b")
POINTER = re.compile(
    r"\b(?:on|in)? ?(?:a |any )?debian (?:gnu linux )?(?:based )?(?:systems?|distributions?) (?:\S+ ){0,50}?usr share common licenses (l?gpl|gfdl|artistic|apache|mpl|cc0|bsd)(?: ?(\d(?:\.\d)?))?\b"
    r"|\busr share common licenses (l?gpl|gfdl|artistic|apache|mpl|cc0|bsd)(?: ?(\d(?:\.\d)?))?\b"
)
STATEMENT = re.compile(
    r"\b(?:(?:dual )?licen[cs]ed|released|re ?distribut(?:ed|e)(?: it)?(?: and or modify it)?|available|published|provided|covered|governed|subject|use[ds]?(?: (?:this|the) \w+)?)"
    r"(?: to you| itself| only| all)?(?: under| by| with| in| to)(?: the)?(?: same)?(?: terms(?: and conditions)? of)?(?: either(?: of)?)?(?: the| a| an)? "
)
NEGATION = re.compile(
    r"\b(?:not|no longer|never|isn t|aren t|neither|nor|except|excluding|unless|other than|instead of|rather than|if|was|were)(?: \w+){0,4} ?$"
)
TAG = re.compile(
    r"(?:SPDX-License-Identifier|License-Expression|^[ \t#*/;-]*License)\s*:[ \t]*([^\n]{2,200})", re.IGNORECASE | re.MULTILINE
)
ALTERNATIVELY = re.compile(
    r"\balternatively(?: \w+){0,12} (?:distributed|licen[cs]ed|used|under)\b|\bdual(?:ly)? licen[cs]ed\b|\bat your (?:choice|option) (?:of )?either\b"
)
CC = re.compile(
    r"\b(?:creative ?commons|cc)(?: legal ?code| license| public| the)*((?: ?(?:by|nc|nd|sa|attribution|non ?commercial|no ?deriv(?:ative)?s?(?: works)?|share ?alike)\b)+)"
    r"((?: (?:license|licence|international|unported|generic|public|version|v)\b)*(?: v?(\d\.\d))?)"
    r"|\b(attribution(?: (?:non ?commercial|no ?deriv(?:ative)?s?|share ?alike))*)(?: v? ?)(\d\.\d)\b"
)
CC_CODE = re.compile(
    r"the work as defined \w+ is provided under the terms of this creative commons public license|by exercising the licensed rights defined \w+ you accept"
)
CC_END = re.compile(
    r"restrict the license of any rights under applicable law(?:.{0,2500}?creative commons may be contacted at (?:https? )?(?:www\.)?creativecommons\.org)?"
    r"|creative commons may be contacted at (?:https? )?(?:www\.)?creativecommons\.org"
)
CC_PREFACE = re.compile(r"creative commons corporation (?:creative commons )?is not a law firm .{0,6000}$")
CC_TERMS = (
    ("nc", r"primarily intended for or directed toward commercial advantage|non ?commercial means not primarily intended"),
    ("sa", r"(?:adaptation|derivative works?) only under the terms of|adapter s license you apply must be a creative commons license"),
    ("nd", r"produce and reproduce but not share adapted material"),
)
CC_ADAPTED = r"create and reproduce (?:adaptations|derivative works)|reproduce and share adapted material"
CC_VERSION = re.compile(r"\d\.\d")
OF_ITSELF = re.compile(
    r"\b(?:this|these|our|all|the present|except where otherwise noted|unless otherwise (?:noted|stated))\b[^.;\n]{0,140}?"
    r"\b((?:licen[cs]ed|released|available|distributed|published|provided|shared|dedicated|placed)\s+(?:to you\s+)?(?:under|to|in|into)\b)[^\n]{0,240}",
    re.IGNORECASE,
)
REFERENCES = re.compile(
    r"\byou should (?:also )?have received a copy of the \S+(?: \S+){0,7}? licen[cs]es?\b|\bsee the \S+(?: \S+){0,5}? licen[cs]e for more details\b"
)
