"""What a developer does with attempts, on the page: again, back, by hand, side by side, and everything they left."""

import hashlib
import re

from playwright.sync_api import Page, expect

from devteam.access.model import Role
from tests.browser.conftest import Visits
from tests.browser.stage import Client, Stage, eventually
from tests.browser.test_accessibility import assert_accessible, settled
from tests.browser.test_journeys import button


def failed_once(stage: Stage, name: str) -> tuple[Client, str]:
    """A customer with a failed attempt; the attempt's id."""
    client = stage.client(name, gate="grep -q Hello README.md")
    task = client.task("Greet", "echo Goodbye > README.md; echo noted > notes.txt")
    client.start()
    eventually(lambda: client.tasks()["Greet"] == "failed", "the task to fail")
    return client, str(next(each["id"] for each in client.attempts() if each["taskId"] == task))


def look(page: Page, path: str) -> None:
    page.goto(path)
    settled(page)


def test_failed_attempt_is_run_again_and_compared(visit: Visits, stage: Stage) -> None:
    client, first = failed_once(stage, "Tries again")
    page = visit(role=Role.DEVELOPER)
    look(page, f"/attempts/{first}")
    expect(button(page, "Compare")).to_be_disabled()
    button(page, "Run again").click()
    dialog = page.get_by_role("dialog", name="Run again")
    dialog.get_by_label("Instructions").fill("Greet, do not part.")
    assert_accessible(page)
    button(dialog, "Run again").click()
    expect(dialog).to_be_hidden()
    eventually(lambda: len([each for each in client.attempts() if each["outcome"]]) == 2, "the second attempt to end")
    second = str(client.attempts()[0]["id"])
    look(page, f"/attempts/{second}")
    expect(page.get_by_text(re.compile("^Run again by developer"))).to_be_visible()
    expect(page.get_by_text("Greet, do not part.")).to_be_visible()
    button(page, "Compare").click()
    page.get_by_role("menuitem", name="Attempt 1, failed").click()
    facts = page.get_by_role("table", name="Facts")
    expect(facts.get_by_role("link", name="Attempt 1")).to_be_visible()
    expect(facts.get_by_role("link", name="Attempt 2")).to_be_visible()
    expect(page.get_by_role("table", name="Gates").get_by_text("✕ Failed")).to_have_count(2)
    expect(page.get_by_role("table", name="Files").get_by_role("row", name=re.compile("notes.txt"))).to_contain_text(
        "the same"
    )
    assert_accessible(page)


def test_delivery_is_sent_back_with_remarks(visit: Visits, stage: Stage) -> None:
    client = stage.client("Sent back")
    client.task("Greet", "echo Hi >> README.md")
    client.start()
    eventually(lambda: client.tasks()["Greet"] == "completed", "the task to complete")
    page = visit(role=Role.DEVELOPER)
    look(page, f"/attempts/{client.attempts()[0]['id']}")
    expect(button(page, "Run again")).to_be_disabled()
    button(page, "Send back").click()
    dialog = page.get_by_role("dialog", name="Send back with remarks")
    button(dialog, "Send back").click()
    expect(dialog.get_by_text("Say what is to be done differently.")).to_be_visible()
    dialog.get_by_label("Remarks").fill("In French, please.")
    button(dialog, "Send back").click()
    expect(dialog).to_be_hidden()
    eventually(lambda: len(client.attempts()) == 2, "the next attempt")
    assert client.attempts()[0]["request"]["instructions"] == "In French, please."


def test_task_is_taken_over_and_released(visit: Visits, stage: Stage) -> None:
    _, first = failed_once(stage, "By hand")
    page = visit(role=Role.DEVELOPER)
    look(page, f"/attempts/{first}")
    button(page, "Take over").click()
    dialog = page.get_by_role("dialog", name="Take over")
    expect(dialog.get_by_text(f"devteam attempt checkout {first}")).to_be_visible()
    button(dialog, "Take over").click()
    expect(page.get_by_text(re.compile("^developer .* has taken this over$"))).to_be_visible()
    expect(page.get_by_text(f"devteam attempt hand-back {first} --from")).to_be_visible()
    expect(button(page, "Run again")).to_be_disabled()
    assert_accessible(page)
    button(page, "Release").click()
    expect(button(page, "Take over")).to_be_visible()
    assert stage.get(f"/attempts/{first}")["takenOverBy"] is None


def test_artifacts_are_downloaded_with_the_checksum_that_is_shown(visit: Visits, stage: Stage) -> None:
    _, first = failed_once(stage, "Left something")
    page = visit(role=Role.VIEWER)
    look(page, f"/attempts/{first}")
    page.get_by_role("tab", name="Artifacts").click()
    artifacts = page.get_by_role("list", name="Artifacts").get_by_role("listitem")
    expect(artifacts.first).to_be_visible()
    assert_accessible(page)
    with page.expect_download() as downloading:
        artifacts.first.get_by_role("link", name="Download").click()
    content = downloading.value.path().read_bytes()
    expect(artifacts.first).to_contain_text(hashlib.sha256(content).hexdigest()[:8])
    with page.expect_download() as downloading:
        page.get_by_role("link", name="All as a zip").click()
    assert downloading.value.path().read_bytes()[:2] == b"PK"
