"""Topics, client messages, who may connect, and the published contract."""

from collections.abc import Mapping
from uuid import uuid4

import pytest

from devteam.access.model import ENGINE, Actor
from devteam.kit.errors import Unauthenticated
from devteam.live.connect import admit, origin_allowed
from devteam.live.contract import rendered
from devteam.live.loop import Ended, _parse
from devteam.live.wire import MAX_MESSAGE_BYTES, CloseCode, Subscribe, TopicKind, parse_topic
from tests.live import SCHEMA

HOST = {"host": "devteam.test:8080"}


def test_contract_is_current() -> None:
    assert SCHEMA.read_text() == rendered(), "run python -m devteam.live.contract"


def test_topics_have_one_spelling() -> None:
    identifier = uuid4()
    topic = parse_topic(f"customer:{identifier}")
    assert topic is not None and topic.kind is TopicKind.CUSTOMER and topic.id == identifier
    assert parse_topic("overview") is not None
    for name in (
        "",
        "overview:1",
        "customer:",
        f"customer:{identifier.hex}",
        f"logs:{str(identifier).upper()}A",
        "x",
    ):
        assert parse_topic(name) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        '{"type":"hello"}',
        '{"type":"hello","protocol":2}',
        '{"type":"nonsense"}',
        '{"type":"subscribe","topics":"overview"}',
        '{"type":"subscribe","topics":[1]}',
        '{"type":"subscribe","topics":["logs:x"],"offsets":{"logs:x":-1}}',
        '{"type":"visibility","hidden":{}}',
        '{"type":"hello","protocol":1,"resume":{"overview":{"epoch":1,"seq":"x"}}}',
        "[" * 5000,
        '{"type":"subscribe","topics":["\\ud800"]}',
        "x" * (MAX_MESSAGE_BYTES + 1),
    ],
)
def test_bad_messages_end_the_connection_with_their_code(text: str) -> None:
    with pytest.raises(Ended) as caught:
        _parse({"type": "websocket.receive", "text": text})
    assert caught.value.code is CloseCode.BAD_MESSAGE
    assert len(caught.value.reason) <= 123


def test_unknown_fields_of_newer_clients_are_ignored() -> None:
    message = _parse({"type": "websocket.receive", "text": '{"type":"subscribe","topics":["overview"],"new":1}'})
    assert isinstance(message, Subscribe) and message.topics == ["overview"]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"origin": "http://devteam.test:8080"}, True),
        ({"origin": "https://devteam.test:8080"}, True),
        ({"origin": "https://elsewhere.test"}, True),
        ({"origin": "http://devteam.test"}, False),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, False),
        ({"authorization": "Bearer x"}, True),
        ({"authorization": "Bearer x", "origin": "http://evil.test"}, False),
    ],
)
def test_only_our_own_pages_may_connect(headers: dict[str, str], allowed: bool) -> None:
    assert origin_allowed(HOST | headers, frozenset({"https://elsewhere.test"})) is allowed


def test_who_is_not_signed_in_is_told_so() -> None:
    def nobody(cookies: Mapping[str, str], headers: Mapping[str, str]) -> Actor | None:
        raise Unauthenticated("no")

    ours = HOST | {"origin": "http://devteam.test:8080"}
    assert admit(nobody, {}, ours, frozenset()) is CloseCode.NOT_SIGNED_IN
    assert admit(nobody, {}, HOST, frozenset()) is CloseCode.WRONG_ORIGIN
    assert admit(lambda _, __: ENGINE, {}, ours, frozenset()) == ENGINE
