"""Gates as they are sent: old ones go on working, wrong ones are refused with a sentence; which servers are asked."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from devteam.adapters.http_probe import GuardedHttpProbe, Reach, why_refused
from devteam.projects.gates import BuiltinGate, CommandGate, Gate, HttpGate, RegexGate
from devteam.projects.schemas import ProjectInput, ProjectPatch

GATE: TypeAdapter[Any] = TypeAdapter(Gate)


def test_a_gate_without_a_type_is_a_command_as_it_was_stored_before_types() -> None:
    stored = {"argv": None, "script": "make", "name": "n", "stage": "post_task", "required": True, "timeout_seconds": 5}
    assert isinstance(GATE.validate_python(stored), CommandGate)
    assert isinstance(GATE.validate_python({"name": "n", "argv": ["make"], "timeoutSeconds": 5}), CommandGate)


@pytest.mark.parametrize(
    "gate",
    [
        {"name": "n", "type": "regex", "path": "**/*.py", "pattern": "x", "present": False},
        {"name": "n", "type": "http", "url": "https://example.com:8443/a?b=c", "stage": "post_execution"},
        {"name": "n", "type": "builtin", "check": "diff_size", "options": {"maxFiles": 3}},
        {"name": "n", "type": "builtin", "check": "secret_scan", "options": {"allow_paths": ["a/**"]}},
    ],
)
def test_what_is_stored_is_read_as_it_was_sent(gate: dict[str, Any]) -> None:
    sent = GATE.validate_python(gate)
    patch = ProjectPatch.model_validate({"gates": [gate]}).model_dump(
        exclude_unset=True, exclude_none=True, mode="json"
    )
    assert GATE.validate_python(patch["gates"][0]) == sent
    assert GATE.validate_python(sent.model_dump(mode="json")) == sent


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"script": "x", "type": "nothing"}, "type"),
        ({"script": "x", "type": 7}, "type"),
        ({"type": "regex", "path": "../x", "pattern": "x"}, "inside the repository"),
        ({"type": "regex", "path": "/x", "pattern": "x"}, "inside the repository"),
        ({"type": "regex", "path": "x", "pattern": "("}, "no regular expression"),
        ({"type": "file", "path": "x", "script": "y"}, "Extra inputs"),
        ({"type": "http", "url": "file:///etc/passwd"}, "http://"),
        ({"type": "http", "url": "http://"}, "name a server"),
        ({"type": "http", "url": "http://user:pw@example.com/"}, "password"),
        ({"type": "http", "url": "http://a b/"}, "blanks"),
        ({"type": "http", "url": "http://a\r\nHost: b/"}, "blanks"),
        ({"type": "http", "url": "http://a:99999/"}, "cannot be read"),
        ({"type": "http", "url": "http://a", "expectedStatus": 99}, "greater than or equal"),
        ({"type": "builtin", "check": "nothing"}, "secret_scan"),
        ({"type": "builtin", "check": "secret_scan", "required": False}, "always required"),
        ({"type": "builtin", "check": "diff_size"}, "maxFiles"),
        ({"type": "builtin", "check": "diff_size", "options": {"maxFiles": "many"}}, "options.maxFiles"),
        ({"type": "builtin", "check": "weakened_tests", "options": {"path": []}}, "options.path"),
        ({"type": "builtin", "check": "weakened_tests", "stage": "post_execution"}, "post_task"),
    ],
)
def test_a_gate_that_cannot_be_is_refused_with_the_reason(gate: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ProjectInput.model_validate({"name": "p", "repository": "r", "gates": [{"name": "n", **gate}]})
    assert said in str(refused.value)


def test_gates_of_different_types_share_no_name_in_a_stage() -> None:
    gates = [{"name": "n", "script": "x"}, {"name": "n", "type": "file", "path": "x"}]
    with pytest.raises(ValidationError, match="same name"):
        ProjectPatch.model_validate({"gates": gates})
    assert GATE.validate_python({"name": "n", "type": "regex", "path": "a", "pattern": "b"}).__class__ is RegexGate
    assert BuiltinGate(type="builtin", name="n", check="secret_scan").required


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.0.1", False, True),
        ("100.64.0.1", False, True),
        ("fd12::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("169.254.169.254", False, False),
        ("169.254.1.1", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:a9fe:a9fe::1", False, False),
        ("::a9fe:a9fe", False, False),
        ("fe80::1%eth0", False, False),
        ("fd00:ec2::254", False, False),
        ("100.100.100.200", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
    ],
)
def test_which_addresses_are_asked(address: str, public: bool, private: bool) -> None:
    assert (why_refused(address, Reach.PUBLIC) is None) is public
    assert (why_refused(address, Reach.PRIVATE) is None) is private


class Free:
    """No control over anything."""

    def controls(self, process: Any) -> Any:
        raise AssertionError("nothing is connected to")

    def checkpoint(self) -> None:
        return None


@pytest.mark.parametrize(
    ("reach", "addresses", "said"),
    [
        (Reach.OFF, ["93.184.215.14"], "switched"),
        (Reach.PUBLIC, ["93.184.215.14", "10.0.0.1"], "10.0.0.1 is a private address"),
        (Reach.PRIVATE, ["93.184.215.14", "169.254.169.254"], "link-local"),
        (Reach.PUBLIC, [], "no address"),
    ],
)
def test_a_name_is_not_asked_when_one_of_its_addresses_must_not_be(
    reach: Reach, addresses: list[str], said: str
) -> None:
    probe = GuardedHttpProbe(reach, lambda host, port: addresses)
    answer = probe.get(HttpGate(type="http", name="n", url="http://example.test/"), Free())
    assert answer.status is None and said in str(answer.error)
