"""Settings written into a home that an agent had for itself."""

from pathlib import Path

import pytest

from devteam.adapters.executors.private_home import write_in_home


def test_a_file_is_written_with_the_folders_on_its_way(tmp_path: Path) -> None:
    assert write_in_home(tmp_path, ".config/agent/settings.json", "{}") == tmp_path / ".config/agent/settings.json"
    write_in_home(tmp_path, ".config/agent/settings.json", "new")
    assert (tmp_path / ".config/agent/settings.json").read_text() == "new"
    assert [file.name for file in (tmp_path / ".config/agent").iterdir()] == ["settings.json"]


@pytest.mark.parametrize("planted", [".config", ".config/agent", ".config/agent/settings.json"])
def test_a_planted_link_is_replaced_and_never_followed(tmp_path: Path, planted: str) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    (outside / "agent").mkdir(parents=True)
    for file in ("settings.json", "agent/settings.json"):
        (outside / file).write_text("the host's own")
    link = home / planted
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / "settings.json" if planted.endswith(".json") else outside)

    write_in_home(home, ".config/agent/settings.json", "{}")

    assert not link.is_symlink()
    assert (home / ".config/agent/settings.json").read_text() == "{}"
    assert {file.read_text() for file in outside.rglob("*.json")} == {"the host's own"}


def test_a_home_that_became_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="home"):
        write_in_home(tmp_path / "home", "settings.json", "{}")
    assert list((tmp_path / "elsewhere").iterdir()) == []
