"""The centre's own announcement templates at the console: refused without losing a word, changed one at a time."""

from __future__ import annotations

import re

import pytest

from bot.core.words import Role
from tests.fakes.desk import Desk
from tests.fakes.house import House

PAGE = "/console/broadcasts/templates"
SAVED = f"{PAGE}?said=saved"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_what_is_refused_stands_in_the_form_again(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await desk.see(f"{PAGE}/new?kind=notice")
    words = {"kind": "notice", "name": "停暖通知", "text_zh": "各位住户：{nobody_knows}", "text_en": "Dear residents"}
    refused = await desk.do(PAGE, status=409, **words)
    assert "各位住户：{nobody_knows}" in refused
    assert 'value="停暖通知"' in refused
    assert await desk.do(PAGE, **(words | {"text_zh": "各位住户：请注意。"})) == SAVED

    page = await desk.see(PAGE)
    address = re.findall(rf'"({PAGE}/\d+)"', page)[0]
    late = await desk.do(address, status=409, version=0, **(words | {"text_zh": "迟到的改动"}))
    assert "迟到的改动" in late
    assert await desk.do(address, version=1, **(words | {"text_zh": "改过了"})) == SAVED
    assert "改过了" in await desk.see(address)
