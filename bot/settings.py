"""What an installation is told from outside: one frozen Settings, validated at start, every error named in one go.

Values come from HOTLINE_* environment variables and a .env file beside the program's working directory; the README's
table documents each. Secrets that are not given are made once and kept under HOTLINE_DATA_DIR, readable by the owner.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.core.words import Language

PACKS = (
    "service",
    "shop",
    "aftersales",
    "hospital",
    "property",
    "heating",
    "product",
    "bank",
    "laboratory",
    "emergency",
)
TELEGRAM_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")


class SettingsError(Exception):
    """One or more settings are missing or wrong; the message names all of them."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Domain time starts at `at` and runs `speed` times as fast; None jumps to the next due instant when idle."""

    at: datetime
    speed: float | None = 1.0


class Settings(BaseSettings):
    """HOTLINE_* as values. Paths are absolute, the database URL is SQLAlchemy's."""

    model_config = SettingsConfigDict(
        env_prefix="HOTLINE_", env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    data_dir: Path = Path(".hotline")
    scripts: Path | None = None
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    processes: int = Field(default=1, ge=1, le=64)
    public_url: AnyHttpUrl | None = None
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    secret: SecretStr = SecretStr("")
    api_token: SecretStr = SecretStr("")
    packs: Annotated[frozenset[str], NoDecode] = frozenset(PACKS)
    language: Language = Language.ZH
    timezone: str = "Asia/Shanghai"
    nlu: Literal["embedded", "encoder", "rasa"] = "embedded"
    encoder: str = ""
    rasa_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:5005")
    redis_url: str = ""
    facts: str = ""
    facts_token: SecretStr = SecretStr("")
    telegram_token: SecretStr = SecretStr("")
    telegram_api: AnyHttpUrl = AnyHttpUrl("https://api.telegram.org")
    telegram_mode: Literal["polling", "webhook"] = "polling"
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_number: str = ""
    twilio_api: AnyHttpUrl = AnyHttpUrl("https://api.twilio.com")
    rehearsal: Rehearsal | None = Field(default=None, exclude=True)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        """Addresses or networks, by commas; "*" would believe anybody."""
        if not isinstance(value, str):
            return value
        named = tuple(part.strip() for part in value.split(",") if part.strip())
        for each in named:
            try:
                ip_network(each)
            except ValueError as error:
                raise ValueError(f"{each!r} is no address or network, such as 10.0.0.5 or 10.0.0.0/24") from error
        return named

    @field_validator("packs", mode="before")
    @classmethod
    def _packs(cls, value: object) -> object:
        return frozenset(p.strip() for p in value.split(",") if p.strip()) if isinstance(value, str) else value

    @field_validator("packs")
    @classmethod
    def _known_packs(cls, value: frozenset[str]) -> frozenset[str]:
        if unknown := value - set(PACKS):
            raise ValueError(f"unknown pack {', '.join(sorted(unknown))}; the packs are {', '.join(PACKS)}")
        return value | {"service"}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no time zone; an IANA name such as Asia/Shanghai is wanted") from error
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("a database URL begins with sqlite:/// or postgresql://")
        return value

    @field_validator("telegram_token")
    @classmethod
    def _known_token(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not TELEGRAM_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("a bot token is digits, a colon and letters, as @BotFather gives it")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("a Redis URL begins with redis://, rediss:// or unix://")
        return value

    @field_validator("facts")
    @classmethod
    def _known_facts(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")) and "://" not in value:
            raise ValueError(
                "facts come from files (leave it empty), https://… or a database URL such as postgresql://…"
            )
        return value

    @model_validator(mode="after")
    def _belongs_together(self) -> Settings:
        twilio = {
            "HOTLINE_TWILIO_ACCOUNT_SID": self.twilio_account_sid,
            "HOTLINE_TWILIO_AUTH_TOKEN": self.twilio_auth_token.get_secret_value(),
            "HOTLINE_TWILIO_NUMBER": self.twilio_number,
        }
        missing = [name for name, value in twilio.items() if not value]
        given = len(missing) < len(twilio)
        if given and self.public_url is None:
            missing.append("HOTLINE_PUBLIC_URL")  # where Twilio reports to, and what its requests are signed for
        if given and missing:
            raise ValueError(f"Twilio needs {', '.join(missing)} as well")
        if self.processes > 1 and not self.database_url.startswith("postgresql"):
            raise ValueError("HOTLINE_PROCESSES above 1 needs PostgreSQL (HOTLINE_DATABASE_URL)")
        if (self.nlu == "encoder") != bool(self.encoder):
            raise ValueError("HOTLINE_NLU=encoder and HOTLINE_ENCODER=<folder or name> belong together")
        if self.telegram_mode == "webhook" and self.telegram_token.get_secret_value() and self.public_url is None:
            raise ValueError("HOTLINE_TELEGRAM_MODE=webhook needs HOTLINE_PUBLIC_URL, where Telegram reaches us")
        if self.scripts is not None and not self.scripts.is_dir():
            raise ValueError("HOTLINE_SCRIPTS is not a folder")
        return self

    # ── what follows from the values ──

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def home(self) -> Path:
        """Where this run writes: a rehearsal has a folder, and so a database, of its own."""
        base = self.data_dir.resolve()
        return base / "rehearsal" if self.rehearsal else base

    @property
    def own_scripts(self) -> Path:
        """The operator's own scripts and policies, whether or not there are any yet."""
        return (self.scripts or self.data_dir / "scripts").resolve()

    @property
    def database(self) -> str:
        """A rehearsal never touches the configured database."""
        if self.rehearsal or not self.database_url:
            return f"sqlite:///{self.home / 'hotline.db'}"
        return self.database_url

    @property
    def default_database(self) -> bool:
        """Whether this is the default SQLite database, the only one demo data may enter by itself."""
        return self.rehearsal is not None or not self.database_url

    @property
    def address(self) -> str:
        """Where browsers and providers reach us, without a trailing slash."""
        return str(self.public_url).rstrip("/") if self.public_url else f"http://{self.host}:{self.port}"

    @property
    def twilio(self) -> bool:
        return bool(self.twilio_account_sid) and self.rehearsal is None

    @property
    def telegram(self) -> bool:
        return bool(self.telegram_token.get_secret_value()) and self.rehearsal is None

    @property
    def telegram_server(self) -> tuple[str, str]:
        """The bot's token and the Bot API server it belongs to."""
        return self.telegram_token.get_secret_value(), str(self.telegram_api).rstrip("/")

    def kept_secret(self) -> str:
        """The installation's secret: given, or made once and kept."""
        return self.secret.get_secret_value() or _kept(self.data_dir.resolve() / "secret")

    def kept_api_token(self) -> str:
        """The API's bearer token: given, or made once and kept."""
        return self.api_token.get_secret_value() or _kept(self.data_dir.resolve() / "api-token")


def load_settings(**overrides: object) -> Settings:
    """Reads the environment and .env; raises SettingsError naming every missing or wrong value."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from error


def _explain(problem: object) -> str:
    assert isinstance(problem, dict)
    name = "_".join(str(part) for part in problem["loc"]).upper()
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"  HOTLINE_{name}: {message}" if name else f"  {message}"


def _kept(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    value = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    return value
