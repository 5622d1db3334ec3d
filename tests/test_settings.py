"""Settings: one frozen value from the environment, every mistake named in one message."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.settings import PACKS, Rehearsal, Settings, SettingsError, load_settings

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env of the person who runs the tests is read."""
    monkeypatch.chdir(tmp_path)


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert settings.address == "http://127.0.0.1:8000"
    assert settings.database == f"sqlite:///{Path.cwd() / '.hotline' / 'hotline.db'}"
    assert settings.packs == set(PACKS)
    assert settings.default_database


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("HOTLINE_PORT=9001\nHOTLINE_LANGUAGE=en\nHOTLINE_PACKS=heating, property\nOTHER=1\n")
    monkeypatch.setenv("HOTLINE_PORT", "9002")
    monkeypatch.setenv("HOTLINE_TIMEZONE", "")  # an empty value is none
    settings = load_settings()
    assert (settings.port, settings.language, settings.timezone) == (9002, "en", "Asia/Shanghai")
    assert settings.packs == {"service", "heating", "property"}


@pytest.mark.parametrize("given", [{"NLU": "encoder"}, {"ENCODER": "some/model"}, {"NLU": "rasa", "ENCODER": "x"}])
def test_an_encoder_and_its_model_belong_together(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"HOTLINE_{name}", value)
    with pytest.raises(SettingsError, match="HOTLINE_ENCODER"):
        load_settings()


def test_only_addresses_and_networks_are_trusted_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_TRUSTED_PROXIES", "10.0.0.5, 10.1.0.0/16,fd00::/8")
    assert load_settings().trusted_proxies == ("10.0.0.5", "10.1.0.0/16", "fd00::/8")
    for wrong in ("*", "proxy.example", "10.0.0.5/8"):
        monkeypatch.setenv("HOTLINE_TRUSTED_PROXIES", wrong)
        with pytest.raises(SettingsError, match=r"HOTLINE_TRUSTED_PROXIES.*no address or network"):
            load_settings()


def test_several_processes_need_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_PROCESSES", "2")
    with pytest.raises(SettingsError, match=r"HOTLINE_PROCESSES.*PostgreSQL"):
        load_settings()
    monkeypatch.setenv("HOTLINE_DATABASE_URL", "postgresql://hotline@db/hotline")
    assert load_settings().processes == 2


def test_every_mistake_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "PORT": "eighty",
        "PACKS": "shop,space",
        "TIMEZONE": "Mars/Olympus",
        "DATABASE_URL": "mysql://x",
        "REDIS_URL": "http://x",
        "NLU": "oracle",
        "LANGUAGE": "fr",
        "PUBLIC_URL": "not a url",
        "TELEGRAM_MODE": "pigeon",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(f"HOTLINE_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert [name for name in wrong if f"HOTLINE_{name}:" not in message] == []
    assert "space" in message
    assert "sqlite:///" in message


def test_twilio_is_whole_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_TWILIO_ACCOUNT_SID", "AC1")
    with pytest.raises(SettingsError, match=r"HOTLINE_TWILIO_AUTH_TOKEN, HOTLINE_TWILIO_NUMBER"):
        load_settings()


def test_a_secret_never_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_SECRET", "hush-hush")
    monkeypatch.setenv("HOTLINE_API_TOKEN", "pssst")
    settings = load_settings()
    assert "hush" not in repr(settings)
    assert "pssst" not in repr(settings)
    assert settings.kept_secret() == "hush-hush"


def test_secrets_not_given_are_made_once_and_kept_to_the_owner() -> None:
    first, again = load_settings(), load_settings()
    assert first.kept_secret() == again.kept_secret()
    assert first.kept_secret() != first.kept_api_token()
    path = first.data_dir / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_rehearsal_has_a_database_of_its_own_and_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLINE_DATABASE_URL", "postgresql://hotline@db/hotline")
    monkeypatch.setenv("HOTLINE_TELEGRAM_TOKEN", "1:a")
    real, rehearsal = load_settings(), load_settings(rehearsal=Rehearsal(datetime(2026, 7, 1, tzinfo=UTC)))
    assert real.database == "postgresql://hotline@db/hotline"
    assert not real.default_database
    assert real.telegram
    assert rehearsal.database == f"sqlite:///{Path.cwd() / '.hotline' / 'rehearsal' / 'hotline.db'}"
    assert rehearsal.default_database
    assert not rehearsal.telegram


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


def test_the_readme_names_every_variable() -> None:
    told = README.read_text("utf-8")
    wanted = [f"HOTLINE_{name.upper()}" for name in Settings.model_fields if name != "rehearsal"]
    assert [name for name in wanted if f"`{name}`" not in told] == []
