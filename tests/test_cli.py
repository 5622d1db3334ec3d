"""The `hotline` command as an operator meets it: its words, its exit codes, and what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
import structlog
from typer.main import get_command

from bot.cli import cli, main
from bot.services import sealing
from store.db import Database
from store.vault import Vault

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ran:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    models: Path,
) -> Iterator[Run]:
    """Runs `hotline …` in this process, in a folder and with a data directory of the test's own."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(models)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOTLINE_DATA_DIR", str(data))
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def run(*arguments: str, typed: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["hotline", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, said.out, said.err)

    yield run
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for name, command in get_command(cli).commands.items():  # type: ignore[attr-defined]  # a group, as cli is built
        found.append((name,))
        found += [(name, inner) for inner in getattr(command, "commands", ())]
    return found


def test_the_commands_other_programs_rely_on_are_there() -> None:
    names = {command[0] for command in commands() if command}
    assert names == {"serve", "worker", "talk", "check", "train", "import", "report", "staff", "audit", "backup"}


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself_in_both_languages(run: Run, command: tuple[str, ...]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    assert any("\u4e00" <= letter <= "\u9fff" for letter in ran.out)
    assert sum(letter.isascii() and letter.isalpha() for letter in ran.out) > 40


# ── what is wrong is said in one go ──


@pytest.mark.parametrize("command", [["serve"], ["worker"], ["check"], ["staff", "list"], ["backup"]])
def test_wrong_settings_are_named_all_at_once(run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_PORT", "eighty")
    monkeypatch.setenv("HOTLINE_TIMEZONE", "Mars")
    ran = run(*command)
    assert ran.code == 2
    assert "HOTLINE_PORT" in ran.err
    assert "HOTLINE_TIMEZONE" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "60"],
        ["--at", "tomorrow"],
        ["--at", "2026-07-01T10:00", "--speed", "0"],
        ["--at", "2026-07-01T10:00", "--speed", "fast"],
    ],
)
def test_a_rehearsal_that_makes_no_sense_is_refused(run: Run, arguments: list[str]) -> None:
    assert run("serve", *arguments).code == 2


def test_a_port_in_use_is_said_before_anything_slow(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("HOTLINE_PORT", str(taken.getsockname()[1]))
        ran = run("serve")
    assert ran.code == 1
    assert "HOTLINE_PORT" in ran.err
    assert not (tmp_path / "data" / "hotline.db").exists()


def test_a_database_that_does_not_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_DATABASE_URL", "postgresql://hotline:pa55word@127.0.0.1:1/hotline")
    ran = run("staff", "list")
    assert ran.code == 1
    assert "127.0.0.1:1" in ran.err
    assert "pa55word" not in ran.err


def test_a_worker_wants_postgresql(run: Run) -> None:
    ran = run("worker")
    assert ran.code == 2
    assert "PostgreSQL" in ran.err


# ── scripts ──


def test_the_shipped_scripts_are_in_order(run: Run) -> None:
    ran = run("check")
    assert (ran.code, ran.err) == (0, "")


def test_a_broken_script_is_told_by_file_and_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    (own / "shop").mkdir(parents=True)
    (own / "shop" / "flows.yml").write_text(
        "flows:\n  mine:\n    description: x\n    steps:\n      - action: utter_nowhere\n", "utf-8"
    )
    (own / "policies.yml").write_text("chat:\n  missses: 2\n", "utf-8")
    monkeypatch.setenv("HOTLINE_SCRIPTS", str(own))
    ran = run("check")
    assert ran.code == 1
    assert "flows.yml:5:" in ran.out
    assert "policies.yml:2:" in ran.out
    assert run("talk").code == 1  # and nothing runs on it


def test_talking_in_the_terminal(run: Run) -> None:
    ran = run("talk", "--explain", typed="暖气两天不热了，也没人来\n转人工\n\n")
    assert ran.code == 0
    assert "no_heating" in ran.out
    assert ran.out.count("< ") >= 2


def test_training_tells_an_operator_what_to_look_at(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "models").unlink()
    ran = run("train")
    assert ran.code == 0, ran.err
    assert "accuracy" in ran.out
    assert list((tmp_path / "data" / "models").glob("*.npz"))


# ── people ──


def test_staff_from_the_command_line(run: Run) -> None:
    added = run("staff", "add", "bailu", "--name", "白露", "--role", "administrator")
    assert added.code == 0
    assert "/sign-in/link/" in added.out
    assert run("staff", "add", "bailu", "--name", "白露", "--role", "agent").code == 1  # taken
    assert run("staff", "roles", "bailu", "administrator", "supervisor").code == 0
    listed = run("staff", "list")
    assert "白露" in listed.out
    assert "客服主管" in listed.out
    assert run("staff", "link", "bailu").out != added.out
    assert run("staff", "link", "nobody").code == 1
    assert run("staff", "roles", "bailu", "agent").code == 1  # the last administrator stays one


# ── data ──

TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()
VISITS = (
    "外部编号,姓名,称呼,电话,到诊时间,事件\n"
    f"V1,王小雨,女士,19900000201,{TODAY - timedelta(days=1)} 09:30,到诊未消费\n"
    f"V2,刘大山,先生,not a number,{TODAY} 10:00,到诊未消费\n"
)


def test_importing_twice_adds_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "visits.csv"
    file.write_text(VISITS, "utf-8-sig")
    first, second = run("import", str(file)), run("import", str(file))
    assert first.code == 1  # a row was refused
    assert "3" in first.err
    assert "1 added" in first.out
    assert "0 added, 1 known already" in second.out
    assert run("import", str(tmp_path / "none.csv")).code == 2


def test_the_follow_up_report(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_SCRIPTS", str(ROOT / "scripts" / "demo"))  # the shipped policies know no season's dates
    file = tmp_path / "visits.csv"
    file.write_text(VISITS, "utf-8")
    run("import", str(file))
    period = ("--from", str(TODAY - timedelta(days=1)), "--to", str(TODAY + timedelta(days=14)))
    ran = run("report", "follow-ups", *period, "--out", str(tmp_path / "july.xlsx"))
    assert ran.code == 0, ran.err
    book = openpyxl.load_workbook(tmp_path / "july.xlsx")
    cells = {str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "王小雨" in cells
    assert not any("19900000201" in cell for cell in cells)
    run("report", "follow-ups", *period, "--out", str(tmp_path / "july.csv"))
    assert "王小雨" in (tmp_path / "july.csv").read_text("utf-8-sig")
    assert run("report", "follow-ups", *period, "--out", str(tmp_path / "july.pdf")).code == 2
    assert run("report", "follow-ups", "--from", "2026-07-31", "--to", "2026-07-01", "--out", "x.csv").code == 2


def test_a_backup_is_checked_and_a_damaged_one_is_found(run: Run, tmp_path: Path) -> None:
    run("staff", "add", "bailu", "--name", "白露", "--role", "administrator")
    assert run("backup").code == 0
    kept = list((tmp_path / "data" / "backups").iterdir())
    assert [path.suffix for path in kept] == [".db"]
    assert run("backup", "--verify").code == 0
    with sqlite3.connect(kept[0]) as copy:
        assert copy.execute("SELECT username FROM staff").fetchall() == [("bailu",)]
    copy.close()
    whole = kept[0].read_bytes()
    kept[0].write_bytes(whole[: len(whole) // 2] + b"\0" * (len(whole) // 2))
    assert run("backup", "--verify").code == 1


def test_the_audit_is_verified_and_its_first_broken_row_named(run: Run, tmp_path: Path) -> None:
    assert run("staff", "add", "xie", "--name", "小谢", "--role", "administrator").code == 0
    database = tmp_path / "data" / "hotline.db"
    with contextlib.closing(Database(f"sqlite:///{database}", Vault((tmp_path / "data" / "secret").read_text()))) as db:
        assert db.write_now(lambda s: sealing.seal(s, 2**31, datetime.now(UTC))) > 0
    assert run("audit", "verify").code == 0
    with sqlite3.connect(database) as raw:
        raw.execute("DROP TRIGGER audit_entry_no_update")
        raw.execute("UPDATE audit_entry SET note = 'x' WHERE id = 1")
    raw.close()
    found = run("audit", "verify")
    assert found.code == 1
    assert "audit entry 1 was changed" in found.err
