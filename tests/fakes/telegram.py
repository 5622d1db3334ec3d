"""A Bot API server of our own: strict about methods, parameters and their forms, with people in its chats, who write,
press, block and send files. It can refuse, hang, drop its answer after acting, bring updates twice and out of order.

    telegram = FakeTelegram(); await telegram.start(); telegram.url is what HOTLINE_TELEGRAM_API wants
    li = telegram.person("Li", "zh-hans"); li.writes("暖气不热"); li.sees  → what stands in her chat

`uv run python -m tests.fakes.telegram` runs it by itself, with a small door for a person at a terminal (see `main`).
(Methods, parameters and error texts: Bot API documentation, version 10.)
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiohttp import web

TOKEN = "123456:a-token-for-tests_0123456789abcdef"
BOT = {"id": 123456, "is_bot": True, "first_name": "Hotline", "username": "hotline_test_bot"}

INT, TEXT, OBJECT, LIST = "integer", "text", "object", "list"
FILE = {"chat_id": (INT, True), "caption": (TEXT, False), "reply_parameters": (OBJECT, False)}
METHODS: dict[str, dict[str, tuple[str, bool]]] = {
    "getMe": {},
    "getUpdates": {
        "offset": (INT, False),
        "limit": (INT, False),
        "timeout": (INT, False),
        "allowed_updates": (LIST, False),
    },
    "setWebhook": {
        "url": (TEXT, True),
        "allowed_updates": (LIST, False),
        "secret_token": (TEXT, False),
        "max_connections": (INT, False),
        "drop_pending_updates": (TEXT, False),
    },
    "deleteWebhook": {"drop_pending_updates": (TEXT, False)},
    "setMyCommands": {"commands": (LIST, True), "scope": (OBJECT, False), "language_code": (TEXT, False)},
    "sendMessage": {
        "chat_id": (INT, True),
        "text": (TEXT, True),
        "parse_mode": (TEXT, False),
        "link_preview_options": (OBJECT, False),
        "disable_notification": (TEXT, False),
        "reply_markup": (OBJECT, False),
        "reply_parameters": (OBJECT, False),
    },
    "sendPhoto": {**FILE, "photo": (TEXT, True)},
    "sendDocument": {**FILE, "document": (TEXT, True)},
    "editMessageText": {
        "chat_id": (INT, True),
        "message_id": (INT, True),
        "text": (TEXT, True),
        "link_preview_options": (OBJECT, False),
        "reply_markup": (OBJECT, False),
    },
    "editMessageReplyMarkup": {"chat_id": (INT, True), "message_id": (INT, True), "reply_markup": (OBJECT, False)},
    "answerCallbackQuery": {"callback_query_id": (TEXT, True), "text": (TEXT, False), "show_alert": (TEXT, False)},
    "getFile": {"file_id": (TEXT, True)},
    "sendChatAction": {"chat_id": (INT, True), "action": (TEXT, True)},
}
"""The methods the program may use, each with its parameters: form, and whether it must be given."""


class Refusal(Exception):  # noqa: N818 - what the server says, not an error of it
    """An answer with "ok": false."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.answer = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
        self.code = code


@dataclass
class Shown:
    """A message as it stands in somebody's chat."""

    message_id: int
    text: str
    mine: bool = False
    buttons: list[list[dict[str, str]]] = field(default_factory=list)
    answers: int | None = None  # the message it quotes
    file: tuple[str, str, bytes] | None = None  # how it was sent, its name, what is in it

    @property
    def titles(self) -> list[str]:
        return [button["text"] for row in self.buttons for button in row]


@dataclass
class Trouble:
    """What the server does instead of answering: "refuse" with `refusal`, "hang", "drop" the connection before acting,
    "drop_after" acting, or answer like a "gateway" that is not Telegram's."""

    kind: str
    refusal: Refusal | None = None


class Person:
    """Somebody with a Telegram application. Every act is an update; its id is given back, to bring it again."""

    def __init__(self, server: FakeTelegram, user: dict[str, Any], chat: dict[str, Any]) -> None:
        self._server, self.user, self.chat = server, user, chat

    @property
    def id(self) -> int:
        return int(self.chat["id"])

    @property
    def messages(self) -> list[Shown]:
        return self._server.chats[self.id]

    @property
    def sees(self) -> list[str]:
        """What the bot said, as it reads now."""
        return [message.text for message in self.messages if not message.mine]

    @property
    def last(self) -> Shown:
        return [message for message in self.messages if not message.mine][-1]

    def _message(self, **content: Any) -> dict[str, Any]:
        number = next(self._server.message_ids)
        text = content.get("text") or content.get("caption") or ""
        self.messages.append(Shown(number, text, mine=True))
        return {"message_id": number, "date": 1782874800, "chat": self.chat, "from": self.user, **content}

    def _sends(self, **content: Any) -> int:
        return self._server.update(message=self._message(**content))

    def writes(self, text: str, **more: Any) -> int:
        if text.startswith("/"):
            length = len(text.split()[0])
            more.setdefault("entities", [{"type": "bot_command", "offset": 0, "length": length}])
        return self._sends(text=text, **more)

    def replies(self, to: Shown, text: str) -> int:
        quoted = {"message_id": to.message_id, "date": 1782874800, "chat": self.chat, "from": BOT, "text": to.text}
        return self._sends(text=text, reply_to_message=quoted)

    def edits(self, to: str, *, original: Shown | None = None, at: int = 1782874860) -> int:
        shown = original or [m for m in self.messages if m.mine][-1]
        shown.text = to
        message = {
            "message_id": shown.message_id,
            "date": 1782874800,
            "edit_date": at,
            "chat": self.chat,
            "from": self.user,
            "text": to,
        }
        return self._server.update(edited_message=message)

    def sends_photo(self, content: bytes, caption: str = "") -> int:
        sizes = [self._server.file(content[:9], "photos/small.jpg"), self._server.file(content, "photos/large.jpg")]
        photo = [{**size, "width": 90 * n, "height": 60 * n} for n, size in enumerate(sizes, 1)]
        return self._sends(photo=photo, **({"caption": caption} if caption else {}))

    def sends_document(self, content: bytes, name: str, mime: str, size: int | None = None) -> int:
        document = {
            **self._server.file(content, f"documents/{len(self.messages)}"),
            "file_name": name,
            "mime_type": mime,
        }
        return self._sends(document={**document, **({"file_size": size} if size else {})})

    def sends_voice(self, content: bytes) -> int:
        voice = {**self._server.file(content, "voice/1.oga"), "duration": 3, "mime_type": "audio/ogg"}
        return self._sends(voice=voice)

    def sends_sticker(self, emoji: str) -> int:
        sticker = {"file_id": "s1", "file_unique_id": "s1", "type": "regular", "width": 512, "height": 512}
        return self._sends(sticker={**sticker, "is_animated": False, "is_video": False, "emoji": emoji})

    def shares_contact(self, number: str, *, own: bool = True) -> int:
        return self._sends(
            contact={"phone_number": number, "first_name": "Li", "user_id": self.user["id"] if own else 99}
        )

    def sends_location(self, latitude: float, longitude: float) -> int:
        return self._sends(location={"latitude": latitude, "longitude": longitude})

    def presses(self, title: str, *, on: Shown | None = None) -> int:
        """Presses a button of the latest keyboard that has it, or of the one named."""
        boards = [on] if on else [m for m in reversed(self.messages) if title in m.titles]
        assert boards, f"no button {title!r} in {[m.titles for m in self.messages]}"
        data = next(b["callback_data"] for row in boards[0].buttons for b in row if b["text"] == title)
        return self.presses_data(data, boards[0])

    def presses_data(self, data: str, on: Shown) -> int:
        message = {"message_id": on.message_id, "date": 1782874800, "chat": self.chat, "from": BOT, "text": on.text}
        query = f"query-{next(self._server.query_ids)}"
        self._server.open_queries.add(query)
        return self._server.update(
            callback_query={"id": query, "from": self.user, "chat_instance": "1", "data": data, "message": message}
        )

    def blocks(self) -> int:
        self._server.blocked.add(self.id)
        return self._member("kicked")

    def unblocks(self) -> int:
        self._server.blocked.discard(self.id)
        return self._member("member")

    def _member(self, status: str) -> int:
        until = {"until_date": 0} if status == "kicked" else {}
        return self._server.update(
            my_chat_member={
                "chat": self.chat,
                "from": self.user,
                "date": 1782874800,
                "old_chat_member": {"user": BOT, "status": "member"},
                "new_chat_member": {"user": BOT, "status": status, **until},
            }
        )


class FakeTelegram:
    """One bot's server. `calls` are all requests in order; `problems` what broke its rules."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.problems: list[str] = []
        self.chats: dict[int, list[Shown]] = {}
        self.blocked: set[int] = set()
        self.migrated: dict[int, int] = {}
        self.open_queries: set[str] = set()
        self.notes: list[str] = []  # what answered presses said
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.webhook: dict[str, Any] | None = None
        self.files: dict[str, tuple[str, bytes]] = {}
        self._uploads: dict[str, web.FileField] = {}
        self.pending: dict[int, dict[str, Any]] = {}
        self.repeated: list[dict[str, Any]] = []
        self.message_ids, self.query_ids = itertools.count(1), itertools.count(1)
        self._people, self._updates = itertools.count(1001), itertools.count(5001)
        self._troubles: dict[str, deque[Trouble]] = {}
        self._arrived = asyncio.Event()
        self._poll: asyncio.Event | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    # ── its life ──

    async def start(self, port: int = 0, *doors: web.RouteDef) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post("/bot{token}/{method}", self._called),
                web.get("/file/bot{token}/{path:.+}", self._download),
                *doors,
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def polling(self) -> bool:
        """Whether somebody is asking right now."""
        return self._poll is not None

    # ── people, updates, trouble ──

    def person(self, name: str = "Li", language: str = "zh-hans") -> Person:
        number = next(self._people)
        user = {"id": number, "is_bot": False, "first_name": name, "language_code": language}
        chat = {"id": number, "type": "private", "first_name": name}
        self.chats[number] = []
        return Person(self, user, chat)

    def group(self, member: Person, number: int = -100500) -> Person:
        """A group chat in which `member` speaks."""
        self.chats.setdefault(number, [])
        return Person(self, member.user, {"id": number, "type": "supergroup", "title": "邻居群"})

    def update(self, **content: Any) -> int:
        number = next(self._updates)
        self.pending[number] = {"update_id": number, **content}
        self._arrived.set()
        return number

    def again(self, update: dict[str, Any]) -> None:
        """Brings an update with the next answer, whatever was confirmed."""
        self.repeated.append(update)
        self._arrived.set()

    def file(self, content: bytes, path: str) -> dict[str, Any]:
        name = f"file-{len(self.files)}"
        self.files[name] = (path, content)
        return {"file_id": name, "file_unique_id": name, "file_size": len(content)}

    def refuses(self, method: str, code: int, description: str, *, times: int = 1, **parameters: int) -> None:
        self._in_trouble(method, Trouble("refuse", Refusal(code, description, **parameters)), times)

    def hangs(self, method: str, *, times: int = 1) -> None:
        self._in_trouble(method, Trouble("hang"), times)

    def drops(self, method: str, *, after_acting: bool, times: int = 1) -> None:
        self._in_trouble(method, Trouble("drop_after" if after_acting else "drop"), times)

    def gateway_fails(self, method: str, *, times: int = 1) -> None:
        self._in_trouble(method, Trouble("gateway"), times)

    def _in_trouble(self, method: str, trouble: Trouble, times: int) -> None:
        self._troubles.setdefault(method, deque()).extend([trouble] * times)

    def sent(self, chat: int | None = None) -> list[str]:
        """Every text that was really sent, to one chat or to all."""
        return [
            message.text
            for number, messages in self.chats.items()
            for message in messages
            if not message.mine and chat in (None, number)
        ]

    async def deliver(self, update: int, *, secret: str | None = None) -> int:
        """Brings an update to the webhook, as Telegram does; the HTTP status of the answer. 2xx confirms it."""
        assert self.webhook is not None, "no webhook is set"
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret if secret is not None else self.webhook["secret_token"]}
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.post(self.webhook["url"], json=self.pending[update], headers=headers)
        if answer.is_success:
            self.pending.pop(update, None)
        return answer.status_code

    # ── its door ──

    async def _called(self, request: web.Request) -> web.StreamResponse:
        method, form = request.match_info["method"], await request.post()
        trouble = queue.popleft() if (queue := self._troubles.get(method)) else None
        if trouble is not None and trouble.kind == "hang":
            await asyncio.sleep(3600)
        if trouble is not None and trouble.kind == "gateway":
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        if trouble is not None and trouble.kind == "drop":
            return self._cut(request)
        try:
            if request.match_info["token"] != TOKEN:
                raise Refusal(401, "Unauthorized")
            parameters = self._checked(method, self._words(form))
            self.calls.append((method, parameters))
            if trouble is not None and trouble.refusal is not None:
                raise trouble.refusal
            act: Callable[..., Any] = getattr(self, f"_{method}")
            result = act(**parameters)
            result = await result if asyncio.iscoroutine(result) else result
        except Refusal as refusal:
            return web.json_response(refusal.answer, status=refusal.code)
        if trouble is not None and trouble.kind == "drop_after":
            return self._cut(request)
        return web.json_response({"ok": True, "result": result})

    def _words(self, form: Mapping[str, Any]) -> dict[str, str]:
        """The parameters of a form; what was uploaded with it is kept for "attach://" to find."""
        self._uploads = {name: value for name, value in form.items() if isinstance(value, web.FileField)}
        return {name: str(value) for name, value in form.items() if name not in self._uploads}

    def _cut(self, request: web.Request) -> web.StreamResponse:
        """Ends the connection without an answer."""
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _checked(self, method: str, given: dict[str, str]) -> dict[str, Any]:
        known = METHODS.get(method)
        if known is None:
            self.problems.append(f"no method {method}")
            raise Refusal(404, "Not Found")
        wrong = [f"{method}: unknown parameter {name}" for name in given.keys() - known.keys()]
        wrong += [f"{method}: {name} is missing" for name, (_, must) in known.items() if must and name not in given]
        read: dict[str, Any] = {}
        for name, value in given.items():
            try:
                read[name] = _read(known[name][0] if name in known else TEXT, value)
            except ValueError:
                wrong.append(f"{method}: {name} is no {known[name][0]}")
        if wrong:
            self.problems += wrong
            raise Refusal(400, f"Bad Request: {'; '.join(wrong)}")
        return read

    def _strictly(self, holds: bool, description: str) -> None:
        if not holds:
            self.problems.append(description)
            raise Refusal(400, f"Bad Request: {description}")

    # ── its methods ──

    def _getMe(self) -> dict[str, Any]:  # noqa: N802 - the Bot API's own names
        return {**BOT, "can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    async def _getUpdates(  # noqa: N802
        self,
        offset: int = 0,
        limit: int = 100,
        timeout: int = 0,
        allowed_updates: list[str] | None = None,
    ) -> list[dict[str, Any]]:
        if self.webhook is not None:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        self._strictly(1 <= limit <= 100, "limit must be 1-100")
        if self._poll is not None:
            self._poll.set()
        mine = self._poll = asyncio.Event()
        for number in [number for number in self.pending if number < offset]:
            del self.pending[number]
        try:
            if not self.pending and not self.repeated and timeout:
                self._arrived.clear()
                await asyncio.wait(
                    [asyncio.ensure_future(self._arrived.wait()), asyncio.ensure_future(mine.wait())],
                    timeout=timeout,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if mine.is_set():
                raise Refusal(409, "Conflict: terminated by other getUpdates request")
        finally:
            if self._poll is mine:
                self._poll = None
        repeated, self.repeated = self.repeated, []
        waiting = (*repeated, *self.pending.values())
        wanted = [u for u in waiting if allowed_updates is None or set(u) & set(allowed_updates)]
        return wanted[:limit]

    def _setWebhook(self, url: str, secret_token: str = "", **more: Any) -> bool:  # noqa: N802
        self._strictly(url.startswith(("https://", "http://127.0.0.1")), "an HTTPS URL must be provided for webhook")
        self._strictly(1 <= len(secret_token) <= 256, "secret_token is empty or too long")
        self._strictly(secret_token.isascii() and all(c.isalnum() or c in "-_" for c in secret_token), "secret_token")
        self.webhook = {"url": url, "secret_token": secret_token, **more}
        return True

    def _deleteWebhook(self, drop_pending_updates: str = "false") -> bool:  # noqa: N802
        self._strictly(drop_pending_updates.lower() != "true", "waiting updates would be lost")
        self.webhook = None
        return True

    def _setMyCommands(self, commands: list[dict[str, str]], language_code: str = "", **_: Any) -> bool:  # noqa: N802
        for each in commands:
            self._strictly(set(each) == {"command", "description"}, "a BotCommand has command and description")
            self._strictly(each["command"].islower() and len(each["command"]) <= 32, "a bad command")
            self._strictly(1 <= len(each["description"]) <= 256, "a bad description")
        self._strictly(len(commands) <= 100, "too many commands")
        self.commands[language_code] = commands
        return True

    def _chat(self, chat_id: int) -> list[Shown]:
        if chat_id in self.migrated:
            raise Refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=self.migrated[chat_id],
            )
        if chat_id not in self.chats:
            raise Refusal(400, "Bad Request: chat not found")
        if chat_id in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        return self.chats[chat_id]

    def _text(self, text: str) -> None:
        if not text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        self._strictly(len(text.encode("utf-16-le")) // 2 <= 4096, "message is too long")

    def _buttons(self, markup: dict[str, Any] | None) -> list[list[dict[str, str]]]:
        if markup is None:
            return []
        self._strictly(set(markup) == {"inline_keyboard"}, "reply_markup is no inline keyboard")
        for row in markup["inline_keyboard"]:
            self._strictly(1 <= len(row) <= 8, "a row of buttons is too long or empty")
            for button in row:
                self._strictly(bool(button.get("text")), "a button has no text")
                data = button.get("callback_data", "").encode()
                self._strictly(1 <= len(data) <= 64, "BUTTON_DATA_INVALID")
        rows: list[list[dict[str, str]]] = markup["inline_keyboard"]
        return rows

    def _sendMessage(  # noqa: N802
        self,
        chat_id: int,
        text: str,
        reply_markup: dict[str, Any] | None = None,
        reply_parameters: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        chat, buttons = self._chat(chat_id), self._buttons(reply_markup)
        self._text(text)
        shown = Shown(next(self.message_ids), text, buttons=buttons, answers=self._answered(chat_id, reply_parameters))
        chat.append(shown)
        return self._as_message(chat_id, shown)

    def _answered(self, chat_id: int, parameters: dict[str, Any] | None) -> int | None:
        """The message a ReplyParameters names; one that is gone is no fault where the sender says so."""
        if parameters is None:
            return None
        self._strictly(set(parameters) <= {"message_id", "allow_sending_without_reply"}, "bad reply_parameters")
        number: int = parameters["message_id"]
        if any(shown.message_id == number for shown in self._chat(chat_id)):
            return number
        self._strictly(bool(parameters.get("allow_sending_without_reply")), "message to be replied not found")
        return None

    def _sendPhoto(self, chat_id: int, photo: str, **more: Any) -> dict[str, Any]:  # noqa: N802
        name, content = self._uploaded(photo)
        self._strictly(len(content) <= 10 * 1024 * 1024, "the photo is too big")
        if not content.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF")):
            raise Refusal(400, "Bad Request: IMAGE_PROCESS_FAILED")
        return self._show_file(chat_id, "photo", name, content, **more)

    def _sendDocument(self, chat_id: int, document: str, **more: Any) -> dict[str, Any]:  # noqa: N802
        return self._show_file(chat_id, "document", *self._uploaded(document), **more)

    def _uploaded(self, told: str) -> tuple[str, bytes]:
        field = self._uploads.get(told.removeprefix("attach://"))
        self._strictly(told.startswith("attach://") and field is not None, "no file was uploaded")
        assert field is not None
        return field.filename, field.file.read()

    def _show_file(
        self,
        chat_id: int,
        how: str,
        name: str,
        content: bytes,
        caption: str = "",
        reply_parameters: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        chat = self._chat(chat_id)
        self._strictly(len(caption) <= 1024, "message caption is too long")
        answers = self._answered(chat_id, reply_parameters)
        shown = Shown(next(self.message_ids), caption, answers=answers, file=(how, name, content))
        chat.append(shown)
        return self._as_message(chat_id, shown)

    def _as_message(self, chat_id: int, shown: Shown) -> dict[str, Any]:
        kind = "private" if chat_id > 0 else "supergroup"
        chat = {"id": chat_id, "type": kind}
        return {"message_id": shown.message_id, "date": 1782874800, "chat": chat, "from": BOT, "text": shown.text}

    def _of_ours(self, chat_id: int, message_id: int) -> Shown:
        for shown in self._chat(chat_id):
            if shown.message_id == message_id and not shown.mine:
                return shown
        raise Refusal(400, "Bad Request: message to edit not found")

    def _editMessageText(  # noqa: N802
        self, chat_id: int, message_id: int, text: str, reply_markup: dict[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        shown, buttons = self._of_ours(chat_id, message_id), self._buttons(reply_markup)
        self._text(text)
        if (shown.text, shown.buttons) == (text, buttons):
            raise Refusal(400, "Bad Request: message is not modified")
        shown.text, shown.buttons = text, buttons
        return self._as_message(chat_id, shown)

    def _editMessageReplyMarkup(  # noqa: N802
        self, chat_id: int, message_id: int, reply_markup: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        shown, buttons = self._of_ours(chat_id, message_id), self._buttons(reply_markup)
        if shown.buttons == buttons:
            raise Refusal(400, "Bad Request: message is not modified")
        shown.buttons = buttons
        return self._as_message(chat_id, shown)

    def _answerCallbackQuery(self, callback_query_id: str, text: str = "", **_: Any) -> bool:  # noqa: N802
        if callback_query_id not in self.open_queries:
            raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self._strictly(len(text) <= 200, "text of an answered query is too long")
        self.open_queries.discard(callback_query_id)
        self.notes.append(text)
        return True

    def _getFile(self, file_id: str) -> dict[str, Any]:  # noqa: N802
        if file_id not in self.files:
            raise Refusal(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        path, content = self.files[file_id]
        if len(content) > 20 * 1024 * 1024:
            raise Refusal(400, "Bad Request: file is too big")
        return {
            "file_id": file_id,
            "file_unique_id": file_id,
            "file_size": len(content),
            "file_path": f"{file_id}/{path}",
        }

    def _sendChatAction(self, chat_id: int, action: str) -> bool:  # noqa: N802
        self._chat(chat_id)
        self._strictly(action in {"typing", "upload_photo", "upload_document"}, "a bad action")
        return True

    async def _download(self, request: web.Request) -> web.Response:
        name, _, path = request.match_info["path"].partition("/")
        held = self.files.get(name)
        if request.match_info["token"] != TOKEN or held is None or held[0] != path:
            return web.Response(status=404)
        trouble = queue.popleft() if (queue := self._troubles.get("file")) else None
        if trouble is not None and trouble.kind == "gateway":
            return web.Response(status=502)
        return web.Response(body=held[1])


def _read(form: str, value: str) -> Any:
    if form == INT:
        return int(value)
    if form == TEXT:
        return value
    read = json.loads(value)
    if not isinstance(read, list if form == LIST else dict):
        raise ValueError(form)
    return read


# ── by itself ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def main(port: int = 8712) -> None:
    """Serves until stopped. POST /say {"text"}, /press {"title"}, /photo (the body is the picture) act as one person;
    GET /chat shows what stands in the chat."""
    telegram = FakeTelegram()
    person = telegram.person()

    async def say(request: web.Request) -> web.Response:
        return web.json_response(person.writes((await request.json())["text"]))

    async def press(request: web.Request) -> web.Response:
        return web.json_response(person.presses((await request.json())["title"]))

    async def photo(request: web.Request) -> web.Response:
        return web.json_response(person.sends_photo(await request.read(), request.query.get("caption", "")))

    async def chat(_: web.Request) -> web.Response:
        shown = [{"mine": m.mine, "text": m.text, "buttons": m.titles} for m in person.messages]
        return web.json_response({"chat": shown, "problems": telegram.problems, "notes": telegram.notes})

    doors = [web.post("/say", say), web.post("/press", press), web.post("/photo", photo), web.get("/chat", chat)]
    await telegram.start(port, *doors)
    print(f"HOTLINE_TELEGRAM_API={telegram.url} HOTLINE_TELEGRAM_TOKEN={TOKEN}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*(int(each) for each in sys.argv[1:])))
