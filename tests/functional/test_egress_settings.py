"""A project's list of hosts, over the API and the command line."""

import json

from tests.functional.test_cli import Running, running
from tests.functional.world import World

__all__ = ["running"]


def test_list_of_hosts_is_set_edited_and_taken_away(world: World) -> None:
    customer = world.customer()
    wanted = {"name": "p", "repository": "/srv/repository.git", "egressAllow": ["Registry.test", "*.files.test:443"]}
    project = world.admin.post(f"/customers/{customer}/projects", wanted).json()
    assert project["egressAllow"] == ["registry.test", "*.files.test:443"]
    renamed = world.admin.patch(f"/projects/{project['id']}", {"name": "q"}).json()
    assert renamed["egressAllow"] == project["egressAllow"]
    emptied = world.admin.patch(f"/projects/{project['id']}", {"egressAllow": []}).json()
    assert emptied["egressAllow"] == []
    assert world.admin.get(f"/customers/{customer}").json()["projects"][0]["egressAllow"] == []


def test_entry_that_is_no_host_is_refused_with_its_field(world: World) -> None:
    customer = world.customer()
    wanted = {"name": "p", "repository": "/srv/repository.git", "egressAllow": ["http://registry.test/"]}
    answer = world.admin.post(f"/customers/{customer}/projects", wanted)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "egressAllow" and "host:port" in answer.json()["errors"][0]["message"]


def test_command_line_gives_and_takes_hosts(running: Running) -> None:
    cli, name = running.cli, running.customer()
    changed = json.loads(
        cli.ok("project", "edit", name, "--egress", "registry.test", "--egress", "*.files.test", "--json")
    )
    assert changed["egressAllow"] == ["registry.test", "*.files.test"]
    assert cli.json("project", "edit", name, "--budget", "2")["egressAllow"] == ["registry.test", "*.files.test"]
    assert cli.json("project", "edit", name, "--no-egress")["egressAllow"] == []
    assert "host:port" in cli.refused("project", "edit", name, "--egress", "not a host")
