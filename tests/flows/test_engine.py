"""The engine's promises whatever the script: it never fails, loops or falls silent, and its state is JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.actions import ACTIONS
from bot.core.flow import Book, Frame, State, Step, Turn, begin, resume, silence, step
from bot.core.flow_stack import MAX_DEPTH
from bot.core.words import Button, Emotion, Entity, Parse, Say
from scripts.compiler import Compiler
from scripts.loader import load_book
from scripts.source import Problem

NOW = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)
CONTEXT = {"channel": "webchat", "language": "zh", "company": "安心服务", "bot_name": "小安"}
SHIPPED = load_book()


def book(flows: str) -> Book:
    """A small book: the shipped repairs, and these flows with a slot and a response of each kind they need."""
    source = json.loads(SHIPPED.source)
    source["flows"].update(yaml.safe_load(flows))
    for flow in source["flows"].values():
        flow.setdefault("pack", "test")
    problems: list[Problem] = []
    built = Compiler(source, problems).book()
    assert problems == []
    return built


def heard(text: str, intent: str = "", confidence: float = 0.9, *entities: tuple[str, str], anger: int = 0) -> Turn:
    found = tuple(Entity(kind, value, value, 0, len(value)) for kind, value in entities)
    ranking = ((intent, confidence),) if intent else ()
    parse = Parse(text, intent, confidence if intent else 0.0, ranking, found, emotion=Emotion(anger=anger))
    return Turn(text, parse, None, CONTEXT)


def texts(at: Step) -> list[str]:
    return [said.key for said in at.says]


FLOW = """
{name}:
  name: 测试
  translation: {{en: {{name: Test}}}}
  description: For this test.
  nlu_trigger: [{{intent: praise}}]
  steps: {steps}
"""


def one(steps: str, name: str = "praise") -> Book:
    return book(FLOW.format(name=name, steps=steps))


# ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_state_survives_json() -> None:
    state = State(
        stack=(Frame("no_heating", "a", "a", 1, True, ("unit",), ("b",)),),
        slots={"unit": "3-2-501", "rating": 4, "vulnerable": True, "unit_price": 9.5},
        acting="action_open_case",
        misses=1,
        topic="no_heating",
        offered=(Button("有", "/SetSlots(vulnerable=true)"),),
        last=(Say("您好", (Button("a", "/b"),), "utter_x", {"choices": "topics"}),),
    )
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state
    assert State.from_json({}) == State()


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_flow_that_goes_round_is_given_to_a_person() -> None:
    going_round = one("[{id: a, action: utter_smalltalk, next: a}]")
    at = step(going_round, State(), heard("x", "praise"), NOW)
    assert at.act is not None
    assert at.act.name == "action_service_hours"  # the first step of handing over
    assert at.state.stack[0].flow == "pattern_human_handoff"


def test_a_flow_that_acts_for_ever_is_given_to_a_person() -> None:
    acting = one("[{id: a, action: action_offer_slots, next: a}]")
    at = step(acting, State(), heard("x", "praise"), NOW)
    acts = []
    while at.act is not None and len(acts) < 50:
        acts.append(at.act.name)
        at = resume(acting, at.state, {}, CONTEXT, NOW)
    assert acts[-1] == "action_handoff"
    assert len(acts) < 20


def test_interruptions_do_not_pile_up() -> None:
    steps = "[{collect: phone, utter: utter_ask_callback_phone}]"
    names = ["praise", "smalltalk", "ask_identity", "greet", "ask_service_hours", "wrong_person", "privacy_request"]
    flows = "".join(FLOW.format(name=name, steps=steps).replace("praise}", f"{name}}}") for name in names)
    piled = book(flows.replace("interrupts: never", ""))
    at = step(piled, State(), heard("x", names[0]), NOW)
    for name in names[1:]:
        at = step(piled, at.state, heard("x", name), NOW)
    assert len(at.state.stack) == MAX_DEPTH


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_known_is_not_asked() -> None:
    known = {**CONTEXT, "phone": "+8613800001234"}
    asking = one("[{collect: phone, utter: utter_ask_callback_phone}, {action: utter_praise_thanks}]")
    at = step(asking, State(), Turn("x", heard("x", "praise").parse, None, known), NOW)
    assert texts(at) == ["utter_praise_thanks"]


def test_a_rejected_value_is_asked_for_again_and_a_third_time_is_the_last() -> None:
    rejecting = one(
        "[{collect: rating, ask_before_filling: true,"
        " rejections: [{if: slots.rating < 4, utter: utter_cannot_skip}]}, {action: utter_praise_thanks}]"
    )
    at = step(rejecting, State(), heard("x", "praise"), NOW)
    at = step(rejecting, at.state, heard("2"), NOW)
    assert texts(at) == ["utter_cannot_skip", "utter_ask_rating"]
    at = step(rejecting, at.state, heard("3"), NOW)
    assert at.question == "rating"
    at = step(rejecting, at.state, heard("1"), NOW)
    assert "utter_not_understood_person" in texts(at)


def test_the_open_question_says_which_intents_answer_it() -> None:
    at = begin(SHIPPED, State(), "follow_up_visited_purchased", CONTEXT, NOW)
    assert at.expecting == {"affirm", "deny", "call_back_later"}
    at = step(SHIPPED, at.state, heard("方便", "affirm"), NOW)
    assert at.expecting == {"affirm", "deny", "report_discomfort", "recovery_ok"}


def test_an_answer_of_before_is_not_given_again() -> None:
    at = step(SHIPPED, State(), heard("能不能吃辣", "ask_care_guidance"), NOW)
    at = resume(SHIPPED, at.state, {"answer_text": "忌辛辣。"}, CONTEXT, NOW)
    assert "忌辛辣" in at.says[0].text
    at = step(SHIPPED, at.state, heard("能不能潜水", "ask_care_guidance"), NOW)
    at = resume(SHIPPED, at.state, {}, CONTEXT, NOW)
    assert texts(at)[0] == "utter_guidance_none"


def test_a_pressed_choice_of_an_earlier_question_changes_nothing() -> None:
    at = step(SHIPPED, State(), heard("没暖气", "no_heating"), NOW)
    parse = heard("有").parse
    at = step(SHIPPED, at.state, Turn("有", parse, "/SetSlots(vulnerable=true)", CONTEXT), NOW)
    assert at.question == "unit"
    assert "vulnerable" not in at.state.slots


def test_close_meanings_are_put_to_the_customer() -> None:
    ranking = (("property_repair", 0.42), ("property_emergency", 0.38))
    parse = Parse("没电了", "property_repair", 0.42, ranking)
    at = step(SHIPPED, State(), Turn("没电了", parse, None, CONTEXT), NOW)
    assert texts(at) == ["utter_which_of_these"]
    assert [b.payload for b in at.says[0].buttons] == ["/property_repair", "/property_emergency", "/out_of_scope"]
    at = step(SHIPPED, at.state, heard("2"), NOW)
    assert at.state.topic == "property_emergency"


def test_danger_breaks_into_a_question_that_takes_words() -> None:
    at = step(SHIPPED, State(), heard("投诉店员", "complain_attitude"), NOW)
    assert at.question == "facts"
    at = step(SHIPPED, at.state, heard("有人晕倒了", "hall_injury_illness"), NOW)
    assert texts(at)[0] == "utter_first_aid"


def test_an_ordinary_topic_does_not_break_into_words() -> None:
    at = step(SHIPPED, State(), heard("投诉店员", "complain_attitude"), NOW)
    at = step(SHIPPED, at.state, heard("等一个钟头没人理", "complain_wait"), NOW)
    assert at.state.slots["facts"] == "等一个钟头没人理"


def test_anger_twice_in_a_row_brings_a_person() -> None:
    at = step(SHIPPED, State(), heard("又没暖气", "no_heating", anger=1), NOW)
    assert at.question == "unit"
    at = step(SHIPPED, at.state, heard("还问", anger=1), NOW)
    assert at.act is not None
    assert at.act.name == "action_handoff"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_silence_closes_kindly(language: str) -> None:
    context = {**CONTEXT, "language": language}
    at = silence(SHIPPED, State(), context, NOW)
    assert texts(at) == ["utter_silence_chat"]
    at = silence(SHIPPED, at.state, context, NOW)
    assert at.act is not None
    assert at.act.name == "action_close"


def test_a_meaning_less_sure_than_the_policy_asks_is_offered_not_acted_on() -> None:
    ranking = (("request_return", 0.35), ("request_exchange", 0.2), ("praise", 0.02))
    parse = Parse("那个能不能弄", "request_return", 0.35, ranking)
    at = step(SHIPPED, State(), Turn("那个能不能弄", parse, None, CONTEXT), NOW)
    assert at.missed
    assert [b.payload for b in at.says[0].buttons] == ["/request_return", "/request_exchange"]
    bolder = {**CONTEXT, "understand": 0.3}
    at = step(SHIPPED, State(), Turn("那个能不能弄", parse, None, bolder), NOW)
    assert at.state.topic == "request_return"


# ── any conversation ─────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = st.one_of(
    st.sampled_from(
        ["1", "2", "9", "有", "没有", "不对，电话是13900005678", "3号楼2单元501", "/no_heating", "", "😀", "算了"]
    ),
    st.text(max_size=20),
)
ENTITIES = st.lists(
    st.sampled_from(
        [
            ("phone", "+8613800001234"),
            ("unit", "3-2-501"),
            ("datetime", "2026-07-02T15:00:00+08:00"),
            ("rating", "3"),
            ("number", "nan"),
            ("money", "100"),
            ("affirm", "好"),
            ("deny", "不"),
            ("case_no", "C20260701-0001"),
        ]
    ),
    max_size=3,
)
PAYLOADS = st.sampled_from(
    [None, None, None, "/SetSlots(rating=5)", "/praise", "/SetSlots(x=)", "/nonsense", "/SetSlots("]
)
MESSAGES = st.tuples(
    WORDS, st.sampled_from(["", "", *sorted(SHIPPED.intents)]), st.floats(0, 1), ENTITIES, PAYLOADS, st.integers(0, 2)
)
VALUES = st.sampled_from([True, False, None, 0, 3, "文字", "2026-07-02T15:00:00+08:00"])
STARTS = st.sampled_from(
    ["pattern_session_start", "requested_callback", "rate_service", "broadcast_reply"]
    + [name for name in SHIPPED.flows if name.startswith("follow_up_")]
)


@settings(max_examples=150, deadline=None)
@given(start=STARTS, messages=st.lists(MESSAGES, min_size=1, max_size=12), data=st.data())
def test_no_conversation_fails_or_falls_silent(start: str, messages: list[Any], data: st.DataObject) -> None:
    context = {**CONTEXT, "outbound": start.startswith("follow_up_")}

    def settle(at: Step) -> Step:
        said, acts = list(at.says), 0
        while at.act is not None:
            acts += 1
            assert acts < 20
            known: Mapping[str, Any] = {name: data.draw(VALUES) for name in ACTIONS[at.act.name].results}
            at = resume(SHIPPED, at.state, known, context, NOW)
            said += at.says
        assert said, at.visits
        assert State.from_json(json.loads(json.dumps(at.state.to_json()))) == at.state
        assert sum(not frame.called for frame in at.state.stack) <= MAX_DEPTH
        assert at.done or at.question is not None or at.state.offered
        return at

    at = settle(begin(SHIPPED, State(), start, context, NOW))
    for text, intent, confidence, entities, payload, anger in messages:
        if text == "":
            at = settle(silence(SHIPPED, at.state, context, NOW))
            continue
        turn = heard(text, intent, confidence, *entities, anger=anger)
        at = settle(step(SHIPPED, at.state, Turn(turn.text, turn.parse, payload, context), NOW))
