"""Each event that the engine records can be told to a person."""

import re
from pathlib import Path

import devteam
from devteam.events.schemas import _TEXTS

_RECORDED = re.compile(r"""\.record\(\s*"([a-z_]+)"|\bevent="([a-z_]+)\"""")


def test_every_event_that_is_recorded_has_a_sentence() -> None:
    sources = [file.read_text() for file in Path(devteam.__file__).parent.rglob("*.py")]
    recorded = {one or other for source in sources for one, other in _RECORDED.findall(source)}
    assert len(recorded) > 30, "they were found"
    assert recorded <= set(_TEXTS)
