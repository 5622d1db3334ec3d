"""What each intent leads to: its flow, what may be done on the way, and how it can end. INTENTS.md shows it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.actions import ACTIONS
from bot.core.book import COMMANDS, Book, Call, Flow, Link, Perform, Utter
from bot.core.words import Language

ROWS = {  # what an action leaves in the database
    "action_open_case": "case",
    "action_red_flag": "case",
    "action_book_visit": "case",
    "action_add_note": "note",
    "action_book_callback": "callback",
    "action_handoff": "hand-off",
    "action_rate": "rating",
    "action_stop_contact": "consent",
    "action_subscribe": "consent",
    "action_notify_when_over": "notice",
    "action_acknowledge": "acknowledgement",
    "action_record_answer": "answer",
    "action_disposition": "disposition",
    "action_set_contact": "contact",
    "action_change_order": "order",
    "action_coupon": "coupon",
    "action_move_visit": "case",
}


@dataclass(frozen=True, slots=True)
class Outline:
    """One intent. `rows` may be created, `ends` are the ways it can end: told, people, closed."""

    intent: str
    flow: Flow
    rows: tuple[str, ...]
    ends: tuple[str, ...]


def outline(book: Book) -> list[Outline]:
    """Every intent that starts a flow, by pack and name."""
    found = []
    for intent, triggers in book.triggers.items():
        for trigger in triggers:
            acts, tells = _reach(book, trigger.flow)
            ends = [
                *(["told"] if tells else []),
                *(["people"] if "action_handoff" in acts else []),
                *(["closed"] if "action_close" in acts else []),
            ]
            rows = sorted({ROWS[act] for act in acts if act in ROWS})
            found.append(Outline(intent, book.flows[trigger.flow], tuple(rows), tuple(ends)))
    return sorted(found, key=lambda o: (o.flow.pack, o.intent))


def table(book: Book) -> str:
    """The outline as a page."""
    commands = ", ".join(f"`{command}`" for command in sorted(COMMANDS))
    head = (
        "# 每个意图通向哪里 · Where each intent leads\n\n"
        "Written by `pytest tests/flows tests/scripts --update-golden`. Rows are what may be created on the way;\n"
        f"an end is `told` (answered), `people` (handed over) or `closed`. The engine itself acts on {commands};\n"
        "`out_of_scope` is not understood: once a question, twice a person.\n\n"
        "| intent | flow | 名称 | name | rows | ends |\n|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| `{o.intent}` | {o.flow.pack}/`{o.flow.id}` | {o.flow.names[Language.ZH]} | {o.flow.names[Language.EN]}"
        f" | {', '.join(o.rows) or '–'} | {', '.join(o.ends)} |\n"
        for o in outline(book)
    )


def _reach(book: Book, start: str) -> tuple[set[str], bool]:
    """The actions reachable from a flow through calls and links, and whether anything is said."""
    acts: set[str] = set()
    tells = False
    ahead, seen = [start], set[str]()
    while ahead:
        flow_id = ahead.pop()
        if flow_id in seen:
            continue
        seen.add(flow_id)
        for node in book.flows[flow_id].nodes.values():
            match node:
                case Perform(action=action) if action in ACTIONS:
                    acts.add(action)
                case Utter():
                    tells = True
                case Call(flow=other) | Link(flow=other):
                    ahead.append(other)
                case _:
                    pass
    return acts, tells
