"""What a project manager does on the page, done in a real browser, with real processes and real commits behind it."""

import os
import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from devteam.access.model import Role
from tests.browser.conftest import NARROW, Visits
from tests.browser.stage import Client, Stage, Work, eventually
from tests.integration.git_projects import git, make_customer


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def connection(page: Page) -> Locator:
    return page.get_by_role("status", name="Connection")


def customer_status(page: Page) -> Locator:
    """The customer's status on their own page."""
    return page.locator("main header").first.locator("[data-status]").first


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def row(page: Page, title: str) -> Locator:
    """A task in the queue."""
    return page.get_by_role("list", name="Tasks").get_by_role("listitem").filter(has_text=title)


def finished(page: Page, title: str) -> Locator:
    """A finished attempt."""
    return page.get_by_role("list", name="Attempts").locator("> li").filter(has_text=title)


def titles(page: Page) -> list[str]:
    return page.get_by_role("list", name="Tasks").locator("[data-handle] + * a").all_inner_texts()


@pytest.fixture
def busy(stage: Stage, work: Callable[[], Work], request: pytest.FixtureRequest) -> tuple[Client, Work]:
    """A customer of its own whose first task runs and waits for its cue; a second one is pending."""
    client, first = stage.client(request.node.name.removeprefix("test_").replace("_", " ")), work()
    client.task("First task", first.script)
    client.task("Second task", "echo second >> README.md")
    client.start()
    eventually(first.running, "the first task to run")
    return client, first


def test_one_time_link_signs_in_once(visit: Visits, stage: Stage) -> None:
    page = visit(role=None)
    visit.tolerate(r"^401 GET .*/session$", r"^40[14] POST .*/session$")
    link = stage.login_link(Role.PROJECT_MANAGER)
    page.goto("/overview")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    assert "token" not in page.url
    expect(connection(page)).to_have_text("Connected")
    page.reload()
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()

    second = visit(link, role=None)
    expect(second.get_by_text("This link has expired or was used already. Ask for a new one.")).to_be_visible()
    expect(second.get_by_text("devteam login-link")).to_be_visible()

    button(page, "Sign out").click()
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


def test_link_that_up_prints_signs_the_administrator_in(visit: Visits, stage: Stage) -> None:
    page = visit(stage.first_link, role=None)
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    expect(button(page, "Emergency stop")).to_be_enabled()


def test_from_nothing_to_a_commit(visit: Visits, stage: Stage, work: Callable[[], Work]) -> None:
    visit.tolerate(r"^4\d\d POST .*/projects$")
    folder = stage.folder / "by-hand"
    folder.mkdir()
    repository = make_customer(folder)
    task = work()
    page = visit("/overview", role=Role.PROJECT_MANAGER)
    expect(page.get_by_role("heading", name="Three steps to the first commit")).to_be_visible()
    page.evaluate("window.loadedOnce = true")
    add_customer(page, "By Hand Ltd")
    add_project(page, str(repository.bare), gate=f"grep -q {task.name} README.md && echo greeted")
    add_task(page, "Say goodbye", task.script)

    button(page, "Start").click()
    phases = page.get_by_role("list", name="Phases")
    expect(phases.locator("[aria-current=step]")).to_contain_text("Execution")
    output = page.get_by_role("log", name="Output")
    expect(output).to_contain_text(f"begun {task.name}")
    expect(output).not_to_contain_text(f"ended {task.name}")
    task.go()

    done = finished(page, "Say goodbye")
    expect(done).to_contain_text("Succeeded")
    expect(row(page, "Say goodbye")).to_contain_text("Completed")
    expect(customer_status(page)).to_have_text("Completed")
    (branch,) = set(git(repository.bare, "branch", "--format=%(refname:short)").splitlines()) - {"main"}
    commit = git(repository.bare, "log", "-1", "--format=%H", branch)
    assert git(repository.bare, "log", "-1", "--format=%s", commit).endswith(": Say goodbye")
    assert task.name in git(repository.bare, "show", f"{commit}:README.md")
    expect(done.get_by_title(commit)).to_be_visible()
    look_at_evidence(page, done, task, branch=branch, commit=commit)
    assert page.evaluate("window.loadedOnce"), "the page was loaded again"


def add_customer(page: Page, name: str) -> None:
    button(page, "Add customer").click()
    dialog = page.get_by_role("dialog", name="Add a customer")
    expect(dialog.get_by_label("Name")).to_be_focused()
    button(dialog, "Add").click()
    expect(dialog.get_by_text("A customer needs a name.")).to_be_visible()
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name").fill(name)
    button(dialog, "Add").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/customers/[0-9a-f-]{36}$"))
    expect(panel(page, "Queue").get_by_text("The queue is empty")).to_be_visible()


def add_project(page: Page, repository: str, *, gate: str) -> None:
    button(page, "Add project").click()
    dialog = page.get_by_role("dialog", name="Add a project")
    dialog.get_by_label("Name", exact=True).fill("main")
    dialog.get_by_label("Repository").fill(f"{repository}-not")
    button(dialog, "Add").click()
    field = dialog.get_by_label("Repository")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(r"git address\. \S+"))
    field.fill(repository)
    dialog.get_by_label("Gate script").fill(gate)
    button(dialog, "Add").click()
    expect(dialog).to_be_hidden()
    expect(panel(page, "Projects")).to_contain_text(repository)


def add_task(page: Page, title: str, script: str) -> None:
    button(page, "Add task").click()
    dialog = page.get_by_role("dialog", name="Add a task")
    dialog.get_by_label("Script to run").fill(script)
    button(dialog, "Add to the queue").click()
    expect(dialog.get_by_text("A task needs a title.")).to_be_visible()
    dialog.get_by_label("Title").fill(title)
    button(dialog, "Add to the queue").click()
    expect(dialog).to_be_hidden()
    expect(row(page, title)).to_contain_text("Pending")


def look_at_evidence(page: Page, attempt: Locator, task: Work, *, branch: str, commit: str) -> None:
    attempt.get_by_role("button", name=re.compile("^Details of attempt 1")).click()
    gates = attempt.get_by_role("list", name="Gate results")
    expect(gates).to_contain_text("Passed")
    gates.get_by_text(re.compile("^Output, last")).click()
    expect(gates.get_by_text("greeted", exact=True)).to_be_visible()
    attempt.get_by_role("tab", name="Diff").click()
    expect(attempt.get_by_text(re.compile(r"^1 file, \+1 .0$"))).to_be_visible()
    expect(attempt.locator(".diff-code-insert").get_by_text(task.name)).to_be_visible()
    attempt.get_by_role("tab", name="Output").click()
    expect(attempt.get_by_role("log", name="Output")).to_contain_text(f"ended {task.name}")
    attempt.get_by_role("tab", name="Commits").click()
    expect(attempt.get_by_text(branch, exact=True)).to_be_visible()
    expect(attempt.get_by_role("tabpanel").get_by_title(commit)).to_be_visible()


def test_pause_stops_the_processes_and_others_see_it(visit: Visits, busy: tuple[Client, Work]) -> None:
    client, first = busy
    page, other = visit(client.page), visit(client.page, role=Role.PROJECT_MANAGER)
    expect(customer_status(other)).to_have_text("Active")
    button(page, "Pause").click()
    expect(customer_status(page)).to_have_text("Paused")
    expect(customer_status(other)).to_have_text("Paused")
    eventually(first.stopped, "the processes to be stopped")
    expect(panel(other, "Current attempt")).to_contain_text("frozen")
    first.go()
    button(other, "Resume").click()
    expect(customer_status(page)).to_have_text("Active")
    expect(row(page, "First task")).to_contain_text("Completed")
    expect(row(other, "Second task")).to_contain_text("Completed")
    assert len(client.attempts()) == 2, "a pause is no new attempt"


def test_pause_after_the_current_task_lets_it_finish(visit: Visits, busy: tuple[Client, Work]) -> None:
    client, first = busy
    page = visit(client.page)
    button(page, "Pause after current task").click()
    expect(customer_status(page)).to_have_text("Active, pausing after this task")
    assert first.running()
    first.go()
    expect(customer_status(page)).to_have_text("Paused")
    expect(row(page, "First task")).to_contain_text("Completed")
    expect(row(page, "Second task")).to_contain_text("Pending")
    button(page, "Resume").click()
    expect(row(page, "Second task")).to_contain_text("Completed")


def test_abort_asks_first_and_ends_the_processes(visit: Visits, busy: tuple[Client, Work]) -> None:
    client, first = busy
    page = visit(client.page)
    before = client.activity()
    button(page, "Abort").click()
    dialog = page.get_by_role("alertdialog", name=f"Abort the execution of {client.name}?")
    expect(dialog).to_contain_text("cannot be resumed")
    expect(button(dialog, "Cancel")).to_be_focused()
    dialog.get_by_label("Reason").fill("Never mind")
    button(dialog, "Cancel").click()
    expect(dialog).to_be_hidden()
    expect(button(page, "Abort")).to_be_focused()
    assert first.running()
    assert client.activity() == before, "a question that was taken back left a trace"

    button(page, "Abort").click()
    dialog.get_by_label("Reason").fill("The customer called")
    button(dialog, "Abort execution").click()
    expect(customer_status(page)).to_have_text("Aborted")
    eventually(first.gone, "the processes to end")
    expect(panel(page, "Activity")).to_contain_text("The customer called")
    expect(row(page, "First task")).to_contain_text("Pending")
    expect(finished(page, "First task")).to_contain_text("Cancelled")
    expect(button(page, "Start")).to_be_enabled()


def test_failing_gate_says_why_and_a_retry_can_pass(visit: Visits, stage: Stage) -> None:
    gate = "! grep -q lamp README.md || test -e switch || { echo 'the porch light is off'; exit 3; }"
    client = stage.client("Failing gate", gate=gate)
    task = client.task("Light the porch", "echo lamp >> README.md")
    client.start()
    page = visit(client.page)
    failed = finished(page, "Light the porch").filter(has_text="1 gate failed")
    expect(failed).to_contain_text("Failed")
    expect(row(page, "Light the porch").locator("[data-reason]")).to_contain_text("tests")
    expect(page.locator("main header").get_by_text("Needs you: 1")).to_be_visible()
    failed.get_by_role("button", name=re.compile("^Details")).click()
    gates = failed.get_by_role("list", name="Gate results").get_by_role("listitem").filter(has_text="tests")
    expect(gates).to_contain_text("exit 3")
    expect(gates.get_by_text("the porch light is off", exact=True)).to_be_visible()

    client.repository.commit({"switch": "on"}, "Add a switch")
    page.goto(f"/tasks/{task}")
    button(page, "Retry").click()
    page.goto(client.page)
    start = button(page, "Start")
    if start.is_visible():
        start.click()
    expect(row(page, "Light the porch")).to_contain_text("Completed")
    expect(finished(page, "Light the porch").filter(has_text="attempt 2")).to_contain_text("Succeeded")


def test_queue_is_reordered_by_keyboard_and_stays_so(visit: Visits, stage: Stage) -> None:
    client = stage.client("Reordered")
    for title in ("One", "Two", "Three"):
        client.task(title, "true")
    page = visit(client.page)
    handle = page.get_by_role("button", name="Reorder One")
    handle.focus()
    handle.press("Alt+ArrowDown")
    expect(panel(page, "Queue").get_by_role("status")).to_have_text("One moved to position 2 of 3")
    expect(handle).to_be_focused()
    handle.press("Alt+ArrowDown")
    expect(panel(page, "Queue").get_by_role("status")).to_have_text("One moved to position 3 of 3")
    eventually(lambda: titles(page) == ["Two", "Three", "One"], "the new order")
    page.reload()
    expect(handle).to_be_visible()
    assert titles(page) == ["Two", "Three", "One"]
    assert list(client.tasks()) == ["Two", "Three", "One"]


def test_priority_class_is_changed_for_everybody(visit: Visits, stage: Stage) -> None:
    client = stage.client("Promoted")
    page, other = visit(client.page), visit(client.page, role=Role.VIEWER)
    expect(other.get_by_label("Priority class")).to_have_value("standard_customer")
    page.get_by_label("Priority class").select_option("priority_customer")
    expect(page.get_by_text("Priority class changed")).to_be_visible()
    expect(other.get_by_label("Priority class")).to_have_value("priority_customer")
    assert client.snapshot()["customer"]["priorityClass"] == "priority_customer"


def test_emergency_stop_takes_a_typed_word_and_can_be_ended(visit: Visits, busy: tuple[Client, Work]) -> None:
    client, first = busy
    page, other = visit(client.page), visit("/overview", role=Role.PROJECT_MANAGER)
    expect(connection(other)).to_have_text("Connected")
    button(page, "Emergency stop").click()
    dialog = page.get_by_role("alertdialog", name="Stop everything now?")
    sure = button(dialog, "Stop everything")
    dialog.get_by_label("Type STOP to confirm").fill("stop")
    expect(sure).to_be_disabled()
    dialog.get_by_label("Reason").fill("Smoke in the machine room")
    dialog.get_by_label("Type STOP to confirm").fill("STOP")
    expect(sure).to_be_enabled()
    sure.click()
    expect(dialog).to_be_hidden()
    for each in (page, other):
        expect(each.get_by_role("alert").filter(has_text="Emergency stop is in force")).to_be_visible()
    eventually(first.gone, "the processes to end")
    expect(customer_status(page)).to_have_text("Paused")
    expect(panel(page, "Activity")).to_contain_text("Smoke in the machine room")

    button(other, "Resume all").click()
    for each in (page, other):
        expect(each.get_by_text("Emergency stop is in force")).to_be_hidden()
    eventually(first.running, "the first task to run again")
    first.go()
    expect(row(page, "First task")).to_contain_text("Completed")
    expect(row(page, "Second task")).to_contain_text("Completed")


def test_lost_connection_is_shown_and_made_good(visit: Visits, stage: Stage) -> None:
    visit.tolerate("^console: WebSocket connection", "^failed: net::ERR_", r"^5\d\d GET ")
    client = stage.client("Connection lost")
    client.task("Before", "true")
    page = visit(client.page)
    expect(row(page, "Before")).to_be_visible()
    expect(connection(page)).to_have_text("Connected")
    page.evaluate("window.loadedOnce = true")
    # What the indicator says is noted as it changes: the engine may be back before anybody looks.
    page.evaluate(
        """() => {
            const shown = document.querySelector('[data-connection]')
            window.said = []
            new MutationObserver(() => window.said.push(shown.textContent)).observe(shown, {attributes: true})
        }"""
    )
    web = stage.web_process()
    assert web is not None
    os.kill(web, signal.SIGKILL)
    expect(connection(page)).not_to_have_text("Connected")
    eventually(lambda: stage.web_process() not in (None, web), "the web process to be started again")
    expect(connection(page)).to_have_text("Connected")
    assert "Reconnecting" in page.evaluate("window.said")

    client.task("Afterwards", "true")
    expect(row(page, "Afterwards")).to_be_visible()
    assert page.evaluate("window.loadedOnce")
    fresh = visit(client.page)
    expect(row(fresh, "Afterwards")).to_be_visible()
    for part in ("Queue", "Projects", "Current attempt", "Finished attempts"):
        assert panel(page, part).inner_text() == panel(fresh, part).inner_text()


def test_deep_link_shows_the_line_it_names(visit: Visits, stage: Stage) -> None:
    client = stage.client("Talkative")
    client.task("Count", "for i in $(seq 1 400); do echo line number $i; done; echo counted >> README.md")
    client.start()
    eventually(lambda: client.tasks() == {"Count": "completed"}, "the task to be completed")
    page = visit(f"/attempts/{client.attempts()[0]['id']}#L250")
    marked = page.get_by_role("log", name="Output").locator("[data-hit]")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("250")
    expect(marked).to_be_in_viewport()
    number = page.get_by_role("link", name="Line 252", exact=True)
    number.click()
    expect(page).to_have_url(re.compile("#L252$"))
    expect(marked).to_contain_text("252")


def test_theme_follows_the_system_until_chosen(visit: Visits) -> None:
    page = visit("/overview", color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).color")
    button(page, "Light theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("body")).not_to_have_css("color", dark)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(button(page, "Dark theme")).to_be_visible()


def test_narrow_window_needs_no_scrolling_sideways(visit: Visits, scene: Client) -> None:
    page = visit(size=NARROW, has_touch=True, is_mobile=True)
    attempt = next(each for each in scene.attempts() if each["outcome"] == "failed")
    paths = ("/overview", "/overview?view=table", scene.page, f"/attempts/{attempt['id']}")
    for path in (*paths, f"/tasks/{attempt['taskId']}", "/system"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(connection(page)).to_have_text("Connected")
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        wide = page.evaluate("[document.scrollingElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], path


def test_viewer_is_told_why_controls_are_off(visit: Visits, busy: tuple[Client, Work]) -> None:
    client, first = busy
    page = visit(client.page, role=Role.VIEWER)
    why = "You are signed in as viewer; only administrator or project manager may steer executions and queues."
    for name in ("Pause", "Abort", "Add task", "Add project", "Emergency stop"):
        expect(button(page, name)).to_be_disabled()
        button(page, name).focus()
        expect(page.get_by_role("tooltip")).to_have_text(why)
    button(page, "Abort").click(force=True)
    expect(page.get_by_role("alertdialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Reorder Second task")).to_have_count(0)
    expect(page.get_by_label("Priority class")).to_be_disabled()
    assert first.running()


def test_manager_of_certain_customers_is_told_why_none_can_be_added(visit: Visits, stage: Stage) -> None:
    page = visit(stage.login_link(Role.PROJECT_MANAGER, customers=[]), role=None)
    expect(page.get_by_role("heading", name="Three steps to the first commit")).to_be_visible()
    expect(button(page, "Add customer")).to_be_disabled()
    button(page, "Add customer").focus()
    expect(page.get_by_role("tooltip")).to_contain_text("You are limited to certain customers")


def test_dialog_from_a_menu_gives_the_focus_back(visit: Visits, stage: Stage) -> None:
    client = stage.client("Menu")
    task = client.task("Think about it", "true")
    page = visit(client.page)
    menu = button(page, "Actions for Think about it")
    menu.click()
    page.get_by_role("menuitem", name="Cancel task").click()
    dialog = page.get_by_role("alertdialog", name="Cancel “Think about it”?")
    expect(button(dialog, "Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    page.get_by_role("menuitem", name="Cancel task").click()
    dialog.get_by_label("Reason").fill("No longer wanted")
    button(dialog, "Cancel the task").click()
    expect(row(page, "Think about it")).to_contain_text("Cancelled")
    assert stage.get(f"/tasks/{task}")["statusReason"]["text"] == "No longer wanted"
