"""How long a list takes to load: reading, then in the background pages of rows with their people, numbers and calls.

uv run python tests/bench/imports.py [rows] [postgresql://…]        the first 100,000 rows, on SQLite by default
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

import openpyxl
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import app
from bot.clock import Clock
from bot.services.centre import Centre
from bot.services.plans import import_jobs
from bot.services.plans.visit_lists import read, table
from bot.settings import Settings
from store.tables import Staff

KINDS = ("到诊未消费", "到诊消费", "门诊手术")


def cells(n: int, day: str) -> list[str]:
    minute = f"{8 + n // 60 % 10:02}:{n % 60:02}"
    return [f"V{n}", f"病人{n}", f"138{n:08d}", f"{day} {minute}", KINDS[n % 3], "口腔科"]


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    today = Clock().now().strftime("%Y-%m-%d")
    head = ["外部编号", "姓名", "电话", "到诊时间", "事件", "科室"]
    lines = [head, *(cells(n, today) for n in range(rows))]
    data = "\n".join(",".join(line) for line in lines).encode("gb18030")
    print(f"read CSV    {timed(lambda: read(data)):6.1f} s")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for line in lines:
        sheet.append(line)
    packed = io.BytesIO()
    book.save(packed)
    print(f"read XLSX   {timed(lambda: read(packed.getvalue())):6.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        taught = app.ROOT / ".hotline" / "models"  # as the tests keep it: training is not what is measured
        taught.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "models").symlink_to(taught)
        where = {"database_url": sys.argv[2]} if len(sys.argv) > 2 else {}
        settings = Settings(_env_file=None, data_dir=Path(folder), secret="bench", **where)  # type: ignore[call-arg,arg-type]
        centre = app.build(settings, with_demo=True)
        for what in ("load", "load again"):
            taken = timed(lambda: in_the_background(centre, data))
            print(f"{what:<11} {taken:6.1f} s   {rows / taken:,.0f} rows/s")
        centre.db.close()


def in_the_background(centre: Centre, data: bytes) -> None:
    """As the console and the heartbeat do it: kept as a draft, then a page after the other."""
    now, db = centre.clock.now(), centre.db

    def begin(session: Session) -> None:
        staff_id = session.scalars(select(Staff.id).limit(1)).one()
        job = import_jobs.draft(session, "bench.csv", table(data), staff_id=staff_id, now=now)
        import_jobs.start(session, job.id, staff_id=staff_id, now=now)

    db.write_now(begin)
    while db.write_now(lambda s: import_jobs.tick(s, centre, centre.clock.now())):
        pass


def timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
