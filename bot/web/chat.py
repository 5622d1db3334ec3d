"""The customer's chat: a page of ours, or in a frame on anybody's site by /widget.js.

The visitor is a cookie's random token (HttpOnly). Lines arrive by server-sent events that resume behind the last place
seen, so a lost connection, a reload or a restart loses and doubles nothing; a message sent again with the same
`client_id` is taken once. Only our own script can post: it sends a header no foreign form or page may send.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial
from http.cookies import SimpleCookie
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, Response

from bot.core.media import ENDINGS, MAX_BYTES, SHOWN, TYPES
from bot.core.words import Author, ChannelName, ConversationState, Incoming, Language
from bot.services.announcements import flights
from bot.services.centre import Centre
from bot.services.conversation import asides, chat_links, inbox, webchat
from bot.services.conversation.conversations import MAX_TEXT
from bot.services.conversation.webchat import START, ChatLine, Place, Present
from bot.services.delivery.pace import Bound, PerAddress
from bot.services.facts import facts
from bot.services.i18n import N_
from bot.web import i18n
from bot.web.bodies import read_at_most
from bot.web.networks import network_of

router = APIRouter(include_in_schema=False)
COOKIE = "hotline_chat"
LIFE = timedelta(days=180)
OURS = "x-hotline-chat"  # a header only a page of ours can send here (no CORS answer allows it to others)
MAX_BODY = 64 * 1024  # bytes
CLIENT_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
LOOK_AGAIN = 25.0  # seconds without a wake-up after which the stream looks by itself

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "too_long": (413, N_("这条消息太长了，请分成几条、每条四千字以内发给我们。")),
    "too_fast": (429, N_("您发得太快了，请稍等片刻再发。")),
    "network_busy": (429, N_("您所在的网络现在发来的消息太多，请稍等。您写的内容还在，过几秒会自动再发。")),
    "empty": (422, N_("请先写点内容。")),
    "malformed": (422, N_("这条消息没能看懂，请刷新页面再试。")),
    "file_too_large": (413, asides.ASIDES["media_too_large"]),
    "file_wrong_type": (415, asides.ASIDES["media_wrong_type"]),
    "file_missing": (422, N_("没有收到文件，请再选一次。")),
    "file_no_room": (507, N_("现在收不了文件，请稍后再发，或者先用文字告诉我们。")),
    "link_over": (410, N_("链接已经过期，或者那次会话已结束。请在这里直接告诉我们您的事。")),
    "link_taken": (410, N_("这个链接已经在别处打开过。请在这里直接告诉我们您的事，或回复那条短信。")),
    "link_unknown": (404, N_("这个链接不完整，请从短信里重新打开。")),
    "no_visitor": (403, N_("请刷新页面再试。如果仍然不行，请允许本站使用 Cookie。")),
}


@router.get("/chat")
async def chat(request: Request, embedded: bool = False) -> Response:
    """The page; it may be shown in anybody's frame, for it does nothing by a single click."""
    centre: Centre = request.app.state.centre
    look = request.app.state.look
    page: Response = look.page(
        request,
        "chat.html",
        framed_by="*",
        embedded=embedded,
        problems={code: words for code, (_, words) in PROBLEMS.items()},
        file_types=",".join((*TYPES, *ENDINGS)),
        max_file=MAX_BYTES,
        company=centre.library.current.policies.company.name.of(look.language(request)),
        max_text=MAX_TEXT,
    )
    if visitor(request) is None:
        page.headers.append("set-cookie", _cookie(secrets.token_urlsafe(32), centre))
    return page


@router.post("/chat/open")
async def open_chat(request: Request) -> Response:
    """The bot's welcome to somebody new; nothing for somebody known."""
    centre: Centre = request.app.state.centre
    token = visitor(request)
    if token is None or OURS not in request.headers:
        return problem(request, "no_visitor")
    if why := await too_much(request):
        return problem(request, why)
    language: Language = request.app.state.look.language(request)
    now = centre.clock.now()
    await facts.write(centre, lambda session: webchat.welcome(session, centre, token, language, now))
    return JSONResponse({})


@router.post("/chat/join")
async def join(request: Request) -> Response:
    """{"go": …}: the page was opened by a link from a text message; the visitor goes on with that conversation."""
    centre: Centre = request.app.state.centre
    token, body = visitor(request), await read_at_most(request, MAX_BODY)
    if token is None or OURS not in request.headers:
        return problem(request, "no_visitor")
    if why := await too_much(request):
        return problem(request, why)
    try:
        go = str(json.loads(body or b"")["go"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return problem(request, "malformed")
    now = centre.clock.now()
    try:
        joined = await centre.db.write(lambda session: chat_links.join(session, centre, go, token, now))
    except chat_links.LinkRefusedError as refused:
        return problem(request, f"link_{refused}")
    answer = JSONResponse({})
    answer.headers.append("set-cookie", _cookie(joined, centre))
    return answer


@router.post("/chat/messages")
async def send(request: Request) -> Response:
    """{"client_id", "text", "payload"?}: one line of the customer's, taken once however often it is sent."""
    centre: Centre = request.app.state.centre
    token = visitor(request)
    if token is None or OURS not in request.headers:
        return problem(request, "no_visitor")
    body = await read_at_most(request, MAX_BODY)
    if body is None:
        return problem(request, "too_long")
    message = _message(body)
    if message is None:
        return problem(request, "malformed")
    text, client, payload = message
    if not text.strip():
        return problem(request, "empty")
    if why := await too_much(request, token):
        return problem(request, why)
    incoming = Incoming(
        channel=ChannelName.WEBCHAT,
        address=token,
        provider_id=webchat.provider_id(centre.db.vault.blind("webchat visitor", token), client),
        text=text,
        language=chosen(request) or spoken(text),
        payload=payload,
    )
    try:
        receipt = await inbox.receive(centre, incoming)
    except inbox.TooLongError:
        return problem(request, "too_long")
    return JSONResponse({"state": receipt.state, "repeated": receipt.repeated})


@router.post("/chat/typing")
async def typing(request: Request) -> Response:
    """The agent's screen shows that the customer is writing."""
    centre: Centre = request.app.state.centre
    token = visitor(request)
    if token is None or OURS not in request.headers:
        return problem(request, "no_visitor")
    here = await centre.db.read(lambda session: webchat.present(session, token))
    if here.state is ConversationState.AGENT:
        centre.live.publish((f"typing:{here.conversation_id}:customer",))
    return Response(status_code=204)


@router.post("/chat/read")
async def read(request: Request) -> Response:
    """{"place": "<conversation>:<seq>"}: the visitor looks at the page, which shows their lines up to there."""
    centre: Centre = request.app.state.centre
    token, body = visitor(request), await read_at_most(request, MAX_BODY)
    if token is None or OURS not in request.headers:
        return problem(request, "no_visitor")
    try:
        told = json.loads(body or b"")
        place = read_place(str(told["place"]))
    except (ValueError, RecursionError, TypeError, KeyError):
        return problem(request, "malformed")
    await centre.db.write(lambda session: webchat.seen(session, token, place, read=True))
    return Response(status_code=204)


@router.get("/chat/events")
async def events(request: Request, after: str = "") -> Response:
    """The visitor's lines behind `after` (or the Last-Event-ID), and from then on as they come."""
    token = visitor(request)
    if token is None:
        return problem(request, "no_visitor")
    seen = max(read_place(after), read_place(request.headers.get("last-event-id", "")))
    return EventSourceResponse(
        _stream(request.app.state.centre, token, seen), headers={"X-Accel-Buffering": "no"}, ping=15
    )


async def _stream(centre: Centre, token: str, seen: Place) -> AsyncIterator[ServerSentEvent]:
    told: Present | None = None
    while True:
        here = await centre.db.read(lambda session: webchat.present(session, token))
        async with centre.live.listen(*_topics(here)) as ear:
            while True:
                now_here, fresh = await centre.db.read(partial(_look, token=token, seen=seen))
                for line in fresh:
                    yield ServerSentEvent(
                        json.dumps(_shown(line), ensure_ascii=False), event="line", id=_id(line.place)
                    )
                    seen = line.place
                if fresh:
                    await _announcements_seen(centre, seen)
                if any(line.author is Author.AGENT for line in fresh):
                    await centre.db.write(partial(webchat.seen, token=token, place=seen, read=False))
                if now_here != told:
                    told = now_here
                    yield ServerSentEvent(json.dumps({"state": told.state, "ahead": told.ahead}), event="state")
                if _topics(now_here) != _topics(here):
                    break  # another conversation, or another holder: listen anew
                while (woken := await ear.wait(LOOK_AGAIN)) and all(t.startswith("typing:") for t in woken):
                    yield ServerSentEvent("", event="typing")


async def _announcements_seen(centre: Centre, place: Place) -> None:
    """An announcement on the page has been delivered (bot/services/announcements/broadcasts.py)."""
    conversation_id, seq = place
    if await centre.db.read(lambda session: flights.unshown(session, conversation_id, seq)):
        now = centre.clock.now()
        await centre.db.write(lambda session: flights.shown(session, conversation_id, seq, now))


def _topics(here: Present) -> tuple[str, ...]:
    topics = [f"address:{here.address_id}", f"conversation:{here.conversation_id}", f"lines:{here.conversation_id}"]
    if here.state is ConversationState.AGENT:
        topics.append(f"typing:{here.conversation_id}:agent")
    if here.state is ConversationState.QUEUED:
        topics.append("floor")  # the place in the queue
    return tuple(topics)


def _look(session: Any, token: str, seen: Place) -> tuple[Present, list[ChatLine]]:
    here = webchat.present(session, token)
    return here, webchat.lines(session, here.address_id, seen) if here.address_id is not None else []


def _shown(line: ChatLine) -> dict[str, Any]:
    return {
        "id": _id(line.place),
        "author": line.author,
        "text": line.text,
        "buttons": list(line.buttons),
        "at": line.at.isoformat(),
        "name": line.name,
        "client": line.client,
        "files": [
            {"url": each.url, "name": each.name, "size": each.size, "kind": _kind(each.mime)} for each in line.files
        ],
        "quote": {"author": line.quote.author, "text": line.quote.text} if line.quote else None,
        "aside": line.aside,
    }


def _kind(mime: str) -> str:
    """What the page shows it as: image, audio, video; "" for what is saved."""
    return mime.partition("/")[0] if mime in SHOWN else ""


def _id(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def read_place(text: str) -> Place:
    """A place as pages send it back; the very beginning where it is none.

    >>> read_place("12:3"), read_place("x")
    ((12, 3), (0, 0))
    """
    found = re.fullmatch(r"(\d{1,18}):(\d{1,9})", text, re.ASCII)
    return (int(found[1]), int(found[2])) if found else START


def spoken(text: str) -> Language | None:
    """The language a line is plainly written in, if it is: answers follow it unless the visitor chose one."""
    if re.search(r"[\u4e00-\u9fff]", text):
        return Language.ZH
    return Language.EN if len(re.findall(r"[A-Za-z]{2,}", text)) >= 2 else None


def chosen(request: Request) -> Language | None:
    told = request.query_params.get(i18n.PARAMETER) or request.cookies.get(i18n.COOKIE, "")
    return Language(told) if told in i18n.SPOKEN else None


def _message(body: bytes) -> tuple[str, str, str | None] | None:
    """Text, client id and payload of a posted line; None where it is not of that shape."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    text, client, payload = raw.get("text"), raw.get("client_id"), raw.get("payload")
    if not isinstance(text, str) or not isinstance(client, str) or not CLIENT_ID.fullmatch(client):
        return None
    if payload is not None and (not isinstance(payload, str) or len(payload) > 500):
        return None
    return text, client, payload


async def too_much(request: Request, token: str = "") -> str | None:
    """The problem of who asks too often: a visitor, or all from one network, for a cookie is soon thrown away. None:
    once more is all right, and counted."""
    centre: Centre = request.app.state.centre
    policies = centre.library.current.policies
    visitors: PerAddress = request.app.state.chat_limiter
    if token and not await visitors.allows(token, policies):
        return "too_fast"
    networks: Bound = request.app.state.network_limiter
    network = centre.db.vault.blind("network", network_of(request))
    return None if await networks.allows(network, policies.chat.per_network) else "network_busy"


def visitor(request: Request) -> str | None:
    token = request.cookies.get(COOKIE, "")
    return token if TOKEN.fullmatch(token) else None


def _cookie(token: str, centre: Centre) -> str:
    """Over https a frame on another site keeps its own visitor there (CHIPS); over http only our own pages do."""
    cookie = SimpleCookie({COOKIE: token})
    morsel = cookie[COOKIE]
    morsel["httponly"], morsel["path"], morsel["max-age"] = True, "/chat", int(LIFE.total_seconds())
    if centre.settings.address.startswith("https://"):
        morsel["secure"], morsel["samesite"] = True, "None"
        return f"{morsel.OutputString()}; Partitioned"
    morsel["samesite"] = "Lax"
    return morsel.OutputString()


def problem(request: Request, code: str) -> JSONResponse:
    status, message = PROBLEMS[code]
    return JSONResponse({"error": request.app.state.look.text(request, message), "code": code}, status)
