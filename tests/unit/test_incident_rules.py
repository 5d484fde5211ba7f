"""What an incident keeps as evidence, and how it may move."""

import pytest

from devteam.adapters.model_gateway.redact import hidden
from devteam.incidents.model import CLASSES, INCIDENT_MOVES, IncidentClass, IncidentStatus, class_of
from devteam.incidents.rules import LIST_LIMIT, TEXT_LIMIT, check_move, merged, shortened
from devteam.kit.errors import IllegalMove


@pytest.mark.parametrize("status", IncidentStatus)
@pytest.mark.parametrize("to", IncidentStatus)
def test_only_moves_of_the_table_are_allowed(status: IncidentStatus, to: IncidentStatus) -> None:
    if to in INCIDENT_MOVES[status]:
        check_move(status, to)
    else:
        with pytest.raises(IllegalMove):
            check_move(status, to)


def test_attacks_are_critical_and_what_nobody_classified_wants_a_person() -> None:
    critical = {code for code, kind in CLASSES.items() if kind is IncidentClass.CRITICAL}
    assert critical == {"private_address_refused", "git_tampered", "secret_leaving"}
    assert class_of("something_new") is IncidentClass.INTERVENTION_REQUIRED


def test_evidence_is_cut_in_length_and_number() -> None:
    kept = shortened({"text": "x" * 10_000, "hosts": [str(n) for n in range(100)], "deep": {"at": [1, None, True]}})
    assert len(kept["text"]) == TEXT_LIMIT + 1 and kept["text"].endswith("…")
    assert len(kept["hosts"]) == LIST_LIMIT
    assert kept["deep"] == {"at": [1, None, True]}
    assert shortened({"half": "\ud800", "nul": "a\0b", "other": 1j}) == {"half": "?", "nul": "a\ufffdb", "other": "1j"}


def test_secrets_are_hidden_wherever_they_stand_in_evidence() -> None:
    attempt_key = f"dt-{'a1_-' * 10}xyz"
    told = {"url": f"/x?key={attempt_key}", "list": ["sk-real-0123456789"], "sk-real-0123456789": 1}
    kept = shortened(told, lambda text: hidden(text, ["sk-real-0123456789"]))
    assert kept == {"url": "/x?key=[secret]", "list": ["[secret]"], "[secret]": 1}


def test_a_secret_is_hidden_before_the_text_is_cut() -> None:
    text = "x" * (TEXT_LIMIT - 5) + "sk-real-0123456789"
    assert "sk-re" not in shortened(text, lambda text: hidden(text, ["sk-real-0123456789"]))


def test_evidence_of_the_same_again_grows_by_what_is_new() -> None:
    before = {"hosts": ["a:443"], "bytes": 5, "kept": True}
    assert merged(before, {"hosts": ["a:443", "b:80"], "bytes": 9}) == {
        "hosts": ["a:443", "b:80"],
        "bytes": 9,
        "kept": True,
    }
    many = merged({"hosts": ["0"]}, {"hosts": [str(n) for n in range(100)]})
    assert len(many["hosts"]) == LIST_LIMIT
