"""Projects and tasks are edited on the page, and nobody loses what they typed when others edit too."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visits
from tests.browser.stage import API, Client, Stage
from tests.browser.test_journeys import button, panel, row


def project(client: Client) -> dict[str, object]:
    return dict(client.snapshot()["projects"][0])


def edit_project(page: Page) -> Locator:
    button(page, "Edit project main").click()
    dialog = page.get_by_role("dialog", name="Edit project main")
    expect(dialog).to_be_visible()
    return dialog


def test_project_gets_gates_of_every_type(visit: Visits, stage: Stage) -> None:
    client = stage.client("Gated", gate="true")
    page = visit(client.page)
    dialog = edit_project(page)
    for kind, name in (("file", "readme"), ("builtin", "size")):
        button(dialog, "Add a gate").click()
        dialog.get_by_label("Gate type").last.select_option(kind)
        dialog.get_by_label("Gate name").last.fill(name)
    button(dialog, "Save").click()
    expect(dialog.get_by_text("Give a path or a pattern of paths.")).to_be_visible()
    dialog.get_by_label("Path", exact=True).fill("README.md")
    dialog.get_by_label("Check").select_option("diff_size")
    dialog.get_by_label("Files at most").fill("7")
    dialog.get_by_label("Delivery", exact=True).select_option("merge_commit")
    button(dialog, "Save").click()
    expect(dialog).to_be_hidden()
    expect(panel(page, "Projects").get_by_text("Merge commit on the base branch")).to_be_visible()
    gates = project(client)["gates"]
    assert isinstance(gates, list)
    assert [(gate["type"], gate["name"]) for gate in gates] == [
        ("command", "tests"),
        ("file", "readme"),
        ("builtin", "size"),
    ]
    assert gates[2]["options"] == {"maxFiles": 7}


def test_what_others_change_meanwhile_loses_nothing_typed(visit: Visits, stage: Stage) -> None:
    visit.tolerate(r"^412 PATCH .*/projects/")
    client = stage.client("Edited by two")
    page = visit(client.page)
    dialog = edit_project(page)
    dialog.get_by_label("Name", exact=True).fill("website")
    changed = stage.api.patch(f"{API}/projects/{client.project}", json={"deliveryMode": "fast_forward"})
    assert changed.is_success
    expect(dialog.get_by_text("Somebody changed this while you were editing")).to_be_visible()
    expect(dialog.get_by_text("Changed elsewhere: “Delivery”.")).to_be_visible()
    button(dialog, "Save").click()
    expect(dialog.get_by_role("alert").get_by_text("Somebody changed this project in the meantime.")).to_be_visible()
    button(dialog, "Keep what I typed").click()
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("website")
    expect(dialog.get_by_label("Delivery", exact=True)).to_have_value("fast_forward")
    button(dialog, "Save").click()
    expect(dialog).to_be_hidden()
    after = project(client)
    assert (after["name"], after["deliveryMode"]) == ("website", "fast_forward")


def test_task_is_edited_from_its_queue_and_from_its_page(visit: Visits, stage: Stage) -> None:
    client = stage.client("Task edited")
    task = client.task("Sort the books", "true", estimateSeconds=60)
    page = visit(client.page)
    button(row(page, "Sort the books"), "Actions for Sort the books").click()
    page.get_by_role("menuitem", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit “Sort the books”")
    dialog.get_by_label("Title").fill("Sort the shelves")
    dialog.get_by_text("Order, dependencies, limits").click()
    expect(dialog.get_by_label("Estimate, minutes")).to_have_value("1")
    dialog.get_by_label("Estimate, minutes").fill("")
    dialog.get_by_label("Labels").fill("tidy")
    button(dialog, "Save").click()
    expect(row(page, "Sort the shelves")).to_be_visible()
    expect(dialog).to_be_hidden()
    row(page, "Sort the shelves").get_by_role("link").click()
    button(page, "Edit").click()
    dialog = page.get_by_role("dialog", name="Edit “Sort the shelves”")
    expect(dialog.get_by_label("Script to run")).to_have_value("true")
    dialog.get_by_label("Description").fill("By colour.")
    button(dialog, "Save").click()
    expect(page.get_by_text("By colour.")).to_be_visible()
    after = stage.get(f"/tasks/{task}")
    assert (after["title"], after["estimateSeconds"], after["labels"]) == ("Sort the shelves", None, ["tidy"])
