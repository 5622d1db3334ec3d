"""Lists of visits as hospitals export them, read into plain rows: CSV in any usual encoding and separator, or XLSX.

Columns are found by their Chinese or English names, in any order; others are passed over. Rows that cannot be used come
back as problems with line, field and code; bot/services/plans/imports.py says what would be right, in both languages.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from python_calamine import CalamineError, CalamineWorkbook

from bot.core.plan import Trigger
from bot.core.words import Language
from bot.services import contacts, tags
from bot.services.i18n import N_
from bot.services.plans.followups import TOLD
from bot.services.plans.planning import Occurrence

MAX_BYTES = 20_000_000
MAX_UNPACKED = 200_000_000  # an XLSX is a ZIP: this much may come out of it
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELL = 500
REASONS = (N_("原因（改好后可以再导入）"), "Reason (mend and import again)")  # the column of a file of faulty rows
SOURCE = "visits"
ENCODINGS = ("utf-8-sig", "gb18030")
DELIMITERS = (",", ";", "\t", "，")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "external_id": ("外部编号", "编号", "就诊号", "流水号", "external_id", "id", "visit_id"),
    "name": ("姓名", "患者姓名", "客户姓名", "name"),
    "title": ("称呼", "尊称", "title"),
    "phone": ("电话", "手机", "手机号", "联系电话", "phone", "mobile", "telephone"),
    "visited_at": ("到诊时间", "就诊时间", "时间", "日期", "visited_at", "happened_at", "visit_time", "date"),
    "kind": ("事件", "类别", "类型", "kind", "event", "group"),
    "department": ("科室", "department"),
    "treatment": ("治疗项目", "项目", "treatment"),
    "age": ("年龄", "age"),
    "interests": ("兴趣", "爱好", "interests", "hobbies"),
    "order_no": ("订单号", "订单编号", "order_no", "order_number", "order"),
    "product": ("产品", "产品名称", "商品", "product", "item"),
    "birthday": ("生日", "出生日期", "birthday", "date_of_birth", "dob"),
    "tags": ("标签", "客户标签", "tags", "tag", "labels"),
    "remarks": ("备注", "remarks", "note", "notes"),
    "language": ("语言", "language"),
    "timezone": ("时区", "timezone", "time_zone"),
}
REQUIRED = ("name", "phone", "visited_at", "kind")
DETAILS = ("department", "treatment", "order_no", "product", "remarks", "age", "interests")

KINDS: Mapping[str, Trigger] = {
    "到诊未消费": Trigger.VISITED_NO_PURCHASE,
    "未消费": Trigger.VISITED_NO_PURCHASE,
    "到诊消费": Trigger.VISITED_PURCHASED,
    "到诊已消费": Trigger.VISITED_PURCHASED,
    "消费": Trigger.VISITED_PURCHASED,
    "未到诊": Trigger.NOT_VISITED,
    "中断": Trigger.INTERRUPTED,
    "治疗中断": Trigger.INTERRUPTED,
    "门诊手术": Trigger.OUTPATIENT_SURGERY,
    "住院手术": Trigger.INPATIENT_SURGERY,
    "购买": Trigger.PRODUCT_BOUGHT,
    "购买产品": Trigger.PRODUCT_BOUGHT,
    "未付款": Trigger.ORDER_UNPAID,
    "订单未付款": Trigger.ORDER_UNPAID,
    "已发货": Trigger.ORDER_DISPATCHED,
    "已签收": Trigger.ORDER_RECEIVED,
    **{trigger.value: trigger for trigger in TOLD},
}
LANGUAGES: Mapping[str, Language] = {
    "zh": Language.ZH,
    "中文": Language.ZH,
    "汉语": Language.ZH,
    "en": Language.EN,
    "英文": Language.EN,
    "英语": Language.EN,
    "english": Language.EN,
    "chinese": Language.ZH,
}
BIRTHDAY = re.compile(r"(?:\d{4}\s*[-/.年]\s*)?(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[T\s]+00:00(?::00)?)?")
MOMENT = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?"
    r"(?:[T\s]*(\d{1,2})\s*[:：时点]\s*(\d{1,2})?(?:\s*[:：分]\s*(\d{1,2}))?(?:\.\d+)?\s*[分秒]?\s*(Z|[+-]\d{2}:?\d{2})?)?"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line (1 is the header's); `field` is a key of COLUMNS or "", `code` names the mistake.

    Values are not kept: they may be a person's.
    """

    line: int
    field: str
    code: str


class UnreadableError(Exception):
    """The file as a whole cannot be used; `code` names why, `fields` the columns that are missing."""

    def __init__(self, code: str, fields: Sequence[str] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.fields = tuple(fields)


@dataclass(frozen=True, slots=True)
class Row:
    """A line's cells by field, trimmed; dates of a spreadsheet are written as ISO 8601 without offset."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A file as it is: its first line, and the lines below that are not empty, numbered as in the file."""

    header: tuple[str, ...]
    lines: tuple[tuple[int, list[str]], ...]


def table(data: bytes) -> Table:
    """What a CSV or XLSX file holds; a column of our own reasons is left out. Raises UnreadableError."""
    found = lines(data)
    _, header = next(found, (0, []))
    if not header:
        raise UnreadableError("empty")
    while header and (not header[-1] or header[-1] in REASONS):
        header.pop()
    below = []
    for number, cells in found:
        below.append((number, cells[: len(header)]))
        if len(below) > MAX_ROWS:
            raise UnreadableError("too_many_rows")
    return Table(tuple(header[:MAX_COLUMNS]), tuple(below))


def proposed(header: Sequence[str]) -> list[str]:
    """For each column the field (a key of COLUMNS) its name says, each field once; "" for a column to leave out."""
    names = {alias: name for name, aliases in COLUMNS.items() for alias in aliases}
    found: list[str] = []
    for cell in header:
        name = names.get(cell.strip().lower().replace(" ", "_"), "")
        found.append("" if name in found else name)
    return found


def missing(columns: Sequence[str]) -> list[str]:
    """The fields no list does without that none of these columns is."""
    return [name for name in REQUIRED if name not in columns]


def row_of(line: int, cells: Sequence[str], columns: Sequence[str]) -> Row:
    """A line's cells by field, for columns mapped so."""
    return Row(line, {name: cell for name, cell in zip(columns, cells, strict=False) if name and cell})


def read(data: bytes) -> list[Row]:
    """The rows of a file whose columns say by their names what they are; raises UnreadableError."""
    found = table(data)
    columns = proposed(found.header)
    if lacking := missing(columns):
        raise UnreadableError("columns_missing", lacking)
    return [row_of(number, cells, columns) for number, cells in found.lines]


def lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV or XLSX file that are not empty, numbered as in the file; raises UnreadableError."""
    if len(data) > MAX_BYTES:
        raise UnreadableError("too_big")
    found = _spreadsheet(data) if data[:4] == b"PK\x03\x04" else _text_lines(data)
    return ((number, cells) for number, cells in found if any(cells))


def _text_lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    if b"\x00" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise UnreadableError("not_a_list")
    content = _decoded(data)
    first = content.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, [_clean(cell) for cell in cells]
    except csv.Error as error:
        raise UnreadableError("not_a_list") from error


def _decoded(data: bytes) -> str:
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ENCODINGS
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableError("encoding")


def _spreadsheet(data: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MAX_UNPACKED:
                raise UnreadableError("too_big")
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
    except (zipfile.BadZipFile, CalamineError) as error:
        raise UnreadableError("not_a_list") from error
    for number, values in enumerate(sheet.to_python(skip_empty_area=False), start=1):
        yield number, [_cell(value) for value in values]


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case date():
            return value.isoformat()
        case float() if value.is_integer():
            return str(int(value))
    return _clean(str(value))


def _clean(cell: str) -> str:
    kept = cell if cell.isprintable() else "".join(c for c in cell if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return kept.strip().removeprefix("'")


# ── from row to occurrence ──


@lru_cache(maxsize=1000)
def is_zone(name: str) -> bool:
    """Whether it is an IANA time zone; known once, for the machine's list is read from disk."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return "/" in name or name == "UTC"


def occurrence(row: Row, *, zone: str, now: datetime) -> Occurrence | list[Problem]:
    """What a row tells, or everything that is wrong with it. `zone` reads times without an offset."""
    cells, problems = row.cells, [Problem(row.line, name, "missing") for name in REQUIRED if not row.cells.get(name)]
    problems += [Problem(row.line, name, "too_long") for name, cell in cells.items() if len(cell) > MAX_CELL]

    def wrong(name: str, code: str) -> None:
        if cells.get(name):
            problems.append(Problem(row.line, name, code))

    own_zone = cells.get("timezone") or zone
    if not is_zone(own_zone):
        wrong("timezone", "timezone")
        own_zone = zone
    kind = KINDS.get(cells.get("kind", "").strip().lower())
    if kind is None:
        wrong("kind", "kind")
    language = LANGUAGES.get(cells.get("language", "").lower())
    if language is None:
        wrong("language", "language")
    phone = ""
    try:
        phone = contacts.phone_number(cells.get("phone", ""))
    except contacts.BadPhoneError:
        wrong("phone", "phone")
    happened_at = moment(cells.get("visited_at", ""), own_zone)
    if happened_at is None:
        wrong("visited_at", "time")
    elif happened_at > now + timedelta(days=1):
        wrong("visited_at", "in_the_future")
    birthday = month_day(cells.get("birthday", ""))
    if birthday is None:
        wrong("birthday", "birthday")
    try:
        tags.read(cells.get("tags", ""))
    except tags.TagRefusedError as refused:
        wrong("tags", refused.code)
    if len(cells.get("name", "")) > 60:
        wrong("name", "too_long")
    if problems or kind is None or happened_at is None:
        return problems
    return Occurrence(
        source=SOURCE,
        external_id=cells.get("external_id", "")[:120],
        kind=kind,
        phone=phone,
        name=cells["name"],
        title=cells.get("title", "")[:40],
        language=language,
        zone=cells.get("timezone"),
        happened_at=happened_at,
        birthday=birthday or "",
        tags=cells.get("tags", ""),
        details={name: cells[name] for name in DETAILS if cells.get(name)},
    )


def moment(text: str, zone: str) -> datetime | None:
    """An instant as lists write it: 2026-07-01 10:00, 2026/7/1 10:00, 2026年7月1日 10:00, ISO 8601; None for others.

    A bare day is its midnight.
    """
    found = MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001
        if offset:
            return datetime.fromisoformat(f"{at.isoformat()}{offset.replace('Z', '+00:00')}")
    except ValueError:
        return None
    return at.replace(tzinfo=ZoneInfo(zone))


def month_day(text: str) -> str | None:
    """A birthday's month and day as MM-DD, whatever year stands before it; None for what is none."""
    found = BIRTHDAY.fullmatch(text.strip())
    try:
        return f"{date(2000, int(found[1]), int(found[2])):%m-%d}" if found else None  # a leap year
    except ValueError:
        return None
