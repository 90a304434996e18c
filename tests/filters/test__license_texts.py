from importlib.resources import files

import polars as pl
import pytest

from filters._license_texts import recognise
from filters.license import license as declared

AS_IS = "THE SOFTWARE IS PROVIDED 'AS IS', WITHOUT WARRANTY OF ANY KIND."
AS_IS += " IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR THE USE OR OTHER DEALINGS IN THE SOFTWARE."
MIT = f"""The MIT License (MIT)

Copyright (c) 2020 Somebody. All rights reserved.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

{AS_IS}
"""
BSD = """Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 * 1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following dis-
 *    claimer in the documentation and/or other materials provided with the distribution.
"""
NAME = (
    "3. Neither the name of the X nor the names of its contributors may be used to endorse or promote products derived from this software\n"
)
NAME += " without specific prior written permission.\n"
ISC = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"
ISC += ", provided that the above copyright notice and this permission notice appear in all copies.\n"
GPL = """This program is free software; you can redistribute it and/or modify it under the terms of the GNU {} as published by the Free
Software Foundation; {}.
You should have received a copy of the GNU General Public License along with this program.
On Debian systems, the complete text can be found in `/usr/share/common-licenses/GPL-3'."""
APACHE = 'Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with the License.'
APACHE += " See the License for the specific language governing permissions and limitations under the License."


def _of(text: str) -> tuple[object, object]:
    given = {role: pl.Series([text if role == "license" else None], dtype=pl.String) for role in declared.roles}
    row = declared(pl.DataFrame(given)).row(0, named=True)
    return row["expression"], row["class"]


@pytest.mark.parametrize(
    ("text", "expression", "kind"),
    [
        (MIT, "MIT", "permissive"),
        (BSD, "BSD-2-Clause", "permissive"),
        (BSD + NAME, "BSD-3-Clause", "permissive"),
        (ISC, "ISC", "permissive"),
        (APACHE, "Apache-2.0", "permissive"),
        (MIT + BSD + NAME, "MIT AND BSD-3-Clause", "permissive"),
        (GPL.format("General Public License", "either version 2, or (at your option) any later version"),
        "GPL-2.0-or-later", "copyleft"),
        (GPL.format("General Public License", "version 2"), "GPL-2.0-only", "copyleft"),
        (GPL.format("Lesser General Public License", "version 2.1 or newer"), "LGPL-2.1-or-later", "copyleft"),
        (GPL.format("Affero General Public License", "version 3 of the License"), "AGPL-3.0-only", "copyleft"),
        ("You may use this under the terms of the GNU GPL.", "GPL-1.0-or-later", "copyleft"),
        ("This library may be used under the same terms as Perl itself.", "GPL-1.0-or-later OR Artistic-1.0-Perl", "copyleft"),
        ("This file has been put into the public domain.", "LicenseRef-Public-Domain", "public-domain"),
        ("Licensed under the Creative Commons Attribution-NonCommercial-ShareAlike 3.0 license.", "CC-BY-NC-SA-3.0",
        "non-commercial"),
    ],
)  # fmt: skip
def test_texts_and_notices(text: str, expression: str, kind: str) -> None:
    assert _of(text) == (expression, kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (MIT + "The Software shall be used for Good, not Evil.", "unknown"),
        (MIT.replace("subject to", "provided that it is not used commercially, subject to"), "unknown"),
        (MIT + "The images may not be redistributed.", "unknown"),
        (MIT + "Some files are under other terms.", "unknown"),
        (MIT + '"Commons Clause" License Condition v1.0', "proprietary"),
        (MIT + "The data are CC BY-NC-SA 4.0.", "non-commercial"),
        (MIT + "Parts are under the GPL.", "copyleft"),
        (BSD + "3. Redistributions in any form must be accompanied by information on how to obtain complete source code.", "copyleft"),
        (BSD + "3. Redistributions must be accompanied by complete source code.", "unknown"),
        (BSD.replace("are permitted", "are permitted for non-commercial purposes"), "non-commercial"),
        ("Copyright 2020 Somebody. All rights reserved. Permission is granted to copy this if you send a postcard.", "unknown"),
    ],
)
def test_a_licence_with_something_added_is_not_that_licence(text: str, kind: str) -> None:
    assert _of(text)[1] == kind


def test_creative_commons_legal_code_is_read_by_its_terms() -> None:
    code = (files("license_expression") / "data" / "cc-by-4.0.LICENSE").read_text("utf-8").split("---")[-1]
    assert _of(code) == ("CC-BY-4.0", "permissive")
    assert "Adapter's License You apply" not in code
    shared = code.replace("Section 5 --", "The Adapter's License You apply must be a Creative Commons license.\nSection 5 --")
    assert _of(shared)[1] == "share-alike"
    profitless = code.replace("Section 2 --", "NonCommercial means not primarily intended for commercial advantage.\nSection 2 --")
    assert _of(profitless)[1] == "non-commercial"


def test_either_of_two_licences_may_be_chosen_where_a_text_says_so() -> None:
    text = f"{BSD}{NAME}ALTERNATIVELY, this product may be distributed under the terms of the GNU General Public License, version 2."
    assert _of(text)[0] == "BSD-3-Clause OR GPL-2.0-only"


def test_scripts_without_spaces_after_a_name_cost_no_more_than_others() -> None:
    words = "著作権およびソフトウェアライセンスについて" * 60
    (one,) = recognise(f"licensed under the GNU General Public License {words}、version 2")[0]
    assert one.expression == "LicenseRef-GPL"  # settled later
    (one,) = recognise("licensed under the GNU General Public License as published by the FSF version 2")[0]
    assert one.expression == "GPL-2.0-only"
