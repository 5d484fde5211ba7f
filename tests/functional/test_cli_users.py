"""The command line on users: roles, scope, API tokens, lock-out."""

from tests.functional.test_cli import Running, running

__all__ = ["running"]


def test_user_with_a_token_acts_in_scope_until_it_is_revoked(running: Running) -> None:
    cli = running.cli
    cli.ok("customer", "add", "In scope")
    cli.ok("customer", "add", "Out of scope")
    made = cli.json("user", "add", "Ada Programs", "--role", "developer", "--customer", "In scope")
    assert "/login?token=" in made["loginUrl"]
    token = cli.ok("user", "token", "Ada Programs").strip()
    as_ada = {"DEVTEAM_TOKEN": token}
    assert cli.refused("user", "list", env=as_ada)
    seen = cli.ok("customer", "list", env=as_ada)
    assert "In scope" in seen and "Out of scope" not in seen
    listed = cli.ok("user", "list")
    assert "Ada Programs" in listed and "In scope" in listed and token not in listed
    assert cli.ok("user", "revoke-tokens", "Ada Programs") == "The API tokens of Ada Programs are revoked.\n"
    assert "signed in" in cli.refused("customer", "list", env=as_ada)


def test_disabled_user_gets_no_token(running: Running) -> None:
    cli = running.cli
    cli.ok("user", "add", "Gone")
    assert cli.ok("user", "disable", "Gone") == "User Gone is disabled.\n"
    assert "disabled" in cli.refused("user", "token", "Gone")


def test_unknown_role_customer_and_user_are_refused(running: Running) -> None:
    refused = running.cli.refused
    assert "project_manager" in refused("user", "add", "X", "--role", "king")
    assert "There is no customer" in refused("user", "add", "X", "--customer", "Nobody & Co")
    assert "There is no user" in refused("user", "token", "Nobody")
