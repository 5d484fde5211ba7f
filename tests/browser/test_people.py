"""What waits for a person's word, and what went wrong: seen wherever one is, answered and settled with evidence."""

from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from devteam.access.model import ENGINE, Role
from devteam.customers.change import customer_change
from devteam.incidents.model import IncidentClass
from devteam.incidents.repository import Opening, open_incident
from devteam.kit.clock import utc_now
from tests.browser.conftest import NARROW, WIDE, Visits
from tests.browser.stage import Client, Stage, eventually
from tests.browser.test_accessibility import Scheme, assert_accessible, settled
from tests.browser.test_journeys import button, panel, row

PROTECTED = {
    "type": "builtin",
    "name": "protected files",
    "check": "protected_paths",
    "options": {"paths": ["README.md"]},
}


def asking(stage: Stage, name: str, *titles: str) -> Client:
    """A customer whose tasks change a protected file, which a person is asked about."""
    client = stage.client(name, gates=[PROTECTED])
    for title in titles:
        client.task(title, f"echo '{title}' >> README.md")
    client.start()
    return client


def approvals(client: Client, status: str) -> list[str]:
    found = client.stage.get(f"/approvals?customerId={client.id}&status={status}")["approvals"]
    return [str(each["title"]) for each in found]


def waits(client: Client) -> bool:
    return len(approvals(client, "pending")) == 1


def item(page: Page | Locator, text: str) -> Locator:
    return page.get_by_role("article").filter(has_text=text)


def incident(client: Client, title: str, incident_class: IncidentClass) -> None:
    attempt = client.attempts()[0]
    with client.stage.database() as database, customer_change(database, UUID(client.id), ENGINE, utc_now) as change:
        open_incident(
            change,
            Opening(
                project_id=UUID(client.project),
                task_id=UUID(attempt["taskId"]),
                attempt_id=UUID(attempt["id"]),
                incident_class=incident_class,
                code="host_refused",
                title=title,
                evidence={"hosts": ["evil.test:443"], "request": {"method": "CONNECT"}},
            ),
        )


def test_whoever_may_answer_is_told_and_approves(visit: Visits, stage: Stage) -> None:
    page = visit("/overview", role=Role.PROJECT_MANAGER)
    settled(page)
    client = asking(stage, "Asks for leave", "Change the readme")
    expect(page.get_by_text("Asks for leave waits for you:")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Approvals")).to_contain_text(
        "waiting"
    )
    page.get_by_role("link", name="Asks for leave").first.click()
    asked = item(panel(page, "Approvals"), "Change the readme")
    expect(asked.get_by_text("README.md", exact=True).first).to_be_visible()
    asked.get_by_label("Remark").fill("Just this once.")
    button(asked, "Approve").click()
    expect(row(page, "Change the readme")).to_contain_text("Completed")
    panel(page, "Approvals").get_by_text("1 settled approval").click()
    expect(panel(page, "Approvals").get_by_text("Approved by project_manager")).to_contain_text("Just this once.")
    assert approvals(client, "pending") == []


def test_rejection_by_keyboard_reaches_the_task(visit: Visits, stage: Stage) -> None:
    client = asking(stage, "Is refused", "Touch the readme")
    eventually(lambda: waits(client), "a question")
    page = visit("/approvals", role=Role.PROJECT_MANAGER)
    settled(page)
    asked = item(page, "Touch the readme")
    asked.get_by_label("Remark").fill("Leave it alone.")
    asked.get_by_role("link").first.focus()
    page.keyboard.press("r")
    expect(button(asked, "Reject")).to_be_focused()
    page.keyboard.press("Enter")
    expect(asked).to_have_count(0)
    button(page, "Rejected").click()
    expect(item(page, "Touch the readme").get_by_text("Leave it alone.")).to_be_visible()
    eventually(lambda: client.tasks()["Touch the readme"] == "failed", "the task to fail")


def test_viewer_sees_what_is_asked_and_why_they_may_not_answer(visit: Visits, stage: Stage) -> None:
    client = asking(stage, "Is watched", "Watch the readme")
    eventually(lambda: waits(client), "a question")
    page = visit(client.page, role=Role.VIEWER)
    asked = item(panel(page, "Approvals"), "Watch the readme")
    expect(button(asked, "Approve")).to_be_disabled()
    button(asked, "Approve").focus()
    expect(page.get_by_role("tooltip")).to_contain_text("may answer what waits for approval")


def test_incident_is_acknowledged_and_resolved(visit: Visits, stage: Stage) -> None:
    client = stage.client("Had trouble")
    client.task("Reach out", "true")
    client.start()
    eventually(lambda: client.tasks()["Reach out"] not in ("pending", "in_progress"), "the task to end")
    page = visit(client.page)
    settled(page)
    incident(client, "A host was refused", IncidentClass.CRITICAL)
    seen = item(panel(page, "Incidents"), "A host was refused")
    expect(seen.get_by_text("Critical")).to_be_visible()
    seen.get_by_role("link", name="A host was refused").click()
    expect(page.get_by_text("evil.test:443")).to_be_visible()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Incidents").click()
    seen = item(page, "A host was refused").filter(has_text="Had trouble")
    button(seen, "Acknowledge").click()
    expect(seen.get_by_text("Acknowledged", exact=True)).to_be_visible()
    page.get_by_label("Class").select_option("RECOVERABLE")
    expect(seen).to_have_count(0)
    page.get_by_label("Class").select_option("CRITICAL")
    button(seen, "Resolve…").click()
    button(seen, "Resolve").click()
    expect(seen.get_by_text("Say how it was settled.")).to_be_visible()
    seen.get_by_label("How it was settled").fill("The host is allowed now.")
    button(seen, "Resolve").click()
    expect(seen).to_have_count(0)
    button(page, "Resolved").click()
    expect(seen.get_by_text("The host is allowed now.")).to_be_visible()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_of_what_waits_keep_nobody_out(visit: Visits, stage: Stage, size: tuple[int, int]) -> None:
    client = asking(stage, f"Open to all {size[0]}", "Change it")
    eventually(lambda: waits(client), "a question")
    incident(client, "A host was refused", IncidentClass.INTERVENTION_REQUIRED)
    page = visit(size=size)
    # Colours do not depend on the width: one theme does for the narrow window.
    schemes: tuple[Scheme, ...] = ("light",) if size == NARROW else ("light", "dark")
    for path in (client.page, "/approvals", "/incidents"):
        page.goto(path)
        settled(page)
        expect(page.get_by_role("article").first).to_be_visible()
        assert_accessible(page, *schemes)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
