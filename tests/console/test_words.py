"""Nobody meets an untranslated or an unnamed word."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

from bot.console import names, notices
from bot.core import words
from bot.core.words import Language
from bot.services import i18n
from bot.services.desk.wrap_up import WRAP_UPS
from bot.services.permissions import PERMISSIONS, Function, grants, may
from bot.services.staffing import staff
from bot.services.staffing.staff import StaffRefusedError

BOT = Path(i18n.__file__).parents[1]
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None, "term": None}
HAN = re.compile(r"[\u4e00-\u9fff]")
NOT_SHOWN = {"Cell", "Lane"}  # words of the machine room


def marked() -> Iterator[tuple[str, str]]:
    """Every marked source string and where it stands."""
    methods = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
    for path, line, message, _, _ in extract_from_dir(BOT, methods, keywords=KEYWORDS):
        for each in (message,) if isinstance(message, str) else message:
            if each and HAN.search(each):
                yield each, f"{path}:{line}"


def test_every_marked_string_is_in_english() -> None:
    english = i18n.translations(Language.EN)
    missing = {f"{where} {message}" for message, where in marked() if english.gettext(message) == message}
    assert missing == set()


def test_translations_keep_the_same_blanks() -> None:
    english = i18n.translations(Language.EN)
    blanks = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
    wrong = [m for m, _ in marked() if sorted(blanks.findall(m)) != sorted(blanks.findall(english.gettext(m)))]
    assert wrong == []


def test_english_has_no_chinese_in_it() -> None:
    english = i18n.translations(Language.EN)
    assert [m for m, _ in marked() if HAN.search(english.gettext(m))] == []


def test_no_template_says_chinese_unmarked() -> None:
    """Outside of marks, only the name of the language itself."""
    spoken = re.compile(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", re.S)
    strays = {
        path.name: found
        for path in BOT.rglob("templates/**/*.html")
        if (found := HAN.findall(spoken.sub("", path.read_text(encoding="utf-8"))))
    }
    assert strays == {}


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for name, kind in inspect.getmembers(words, inspect.isclass)
        if issubclass(kind, StrEnum) and kind is not StrEnum and name not in NOT_SHOWN
    ],
)
def test_every_word_of_the_vocabulary_has_a_name(kind: type[StrEnum]) -> None:
    assert {member.value for member in kind} == set(i18n.LABELS[kind])


def test_codes_of_notices_are_said_once() -> None:
    assert not set(notices.DONE) & set(notices.REFUSED)
    assert all(HAN.search(name) for name in WRAP_UPS.values())


# ── REQ-A22 ──


def test_every_function_has_its_row() -> None:
    assert set(PERMISSIONS) == set(Function)


def test_the_administrator_alone_manages_staff_and_handles_nothing_else() -> None:
    assert set(PERMISSIONS[Function.MANAGE_STAFF]) == {words.Role.ADMINISTRATOR}
    assert {f for f in Function if may({words.Role.ADMINISTRATOR}, f)} == {Function.MANAGE_STAFF, Function.SEE_AUDIT}


def test_only_the_manager_permits_media() -> None:
    assert set(PERMISSIONS[Function.PERMIT_MEDIA]) == {words.Role.MANAGER}


def test_roles_add_up() -> None:
    both = grants({words.Role.AGENT, words.Role.OPS}, Function.SEE_CONTACT)
    assert {grant.value for grant in both} == {"own_cases", "masked"}


def test_a_short_password_is_refused() -> None:
    with pytest.raises(StaffRefusedError, match="password_short"):
        staff.hash_password("short")


def test_every_audited_action_has_a_name() -> None:
    """Codes as the services write them: audit.record(session, "<noun>.<verb>", "<noun>", …)."""
    written = re.compile(r'audit\.record\(\s*\w+,\s*"(\w+)\.(\w+)",\s*"(\w+)"')
    found = {each for path in BOT.rglob("*.py") for each in written.findall(path.read_text(encoding="utf-8"))}
    assert found
    assert {f"{noun}.{verb}" for noun, verb, _ in found} - set(names.ACTIONS) == set()
    assert {subject for _, _, subject in found} - set(names.SUBJECTS) == set()
