"""axe looks at every page and every dialog, light and dark: nothing that keeps anybody out."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from devteam.access.model import Role
from tests.browser.conftest import NARROW, WIDE, Visits
from tests.browser.stage import Client, Stage

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
Scheme = Literal["light", "dark"]
BAD = ("serious", "critical")
# Colours change over, however quickly, from the outside in: they are looked at when nothing has moved for some frames.
# A browser that draws no frames just now is not waited for, nor is what never comes to rest.
RUN = """async () => {
    const begun = performance.now()
    for (let still = 0; still < 4 && performance.now() - begun < 5000; still++) {
        await Promise.race([new Promise(requestAnimationFrame), new Promise(next => setTimeout(next, 200))])
        if (document.getAnimations().length > 0) still = 0
    }
    return axe.run(document, {resultTypes: ['violations']})
}"""


@cache
def axe() -> str:
    if not AXE.exists():
        pytest.fail("axe-core is missing: run `make setup`.", pytrace=False)
    return AXE.read_text()


def assert_accessible(page: Page, *schemes: Scheme) -> None:
    """Neither by day nor by night."""
    # Evaluated, not added as a script: the page's own security policy stays in force.
    page.evaluate(f"() => {{ window.axe || (() => {{ {axe()} }})() }}")
    for scheme in schemes or ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        result = page.evaluate(RUN)
        found = [
            f"{violation['id']} ({violation['impact']}): {node['html'][:200]} {node['failureSummary']}"
            for violation in result["violations"]
            if violation["impact"] in BAD
            for node in violation["nodes"]
        ]
        assert found == [], f"{page.url}, {scheme}:\n" + "\n".join(found)


def settled(page: Page) -> None:
    """Everything that the page waits for has come."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("status", name="Connection")).to_have_text("Connected")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages(visit: Visits, scene: Client, size: tuple[int, int]) -> None:
    page = visit(size=size)
    # Colours do not depend on the width: one theme does for the narrow window.
    schemes: tuple[Scheme, ...] = ("light",) if size == NARROW else ("light", "dark")
    attempt = next(each for each in scene.attempts() if each["outcome"] == "succeeded")
    failed = next(each for each in scene.attempts() if each["outcome"] == "failed")
    paths = ["/overview", "/overview?view=table", scene.page, f"/tasks/{failed['taskId']}", "/system"]
    for path in [*paths, f"/attempts/{failed['id']}", f"/attempts/{attempt['id']}"]:
        page.goto(path)
        settled(page)
        assert_accessible(page, *schemes)
    for tab in ("Diff", "Output", "Commits"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        assert_accessible(page, *schemes)


def test_pages_outside(visit: Visits, stage: Stage) -> None:
    visit.tolerate(r"^401 GET .*/session$")
    page = visit("/overview", role=None)
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    assert_accessible(page)
    page.goto("/no/such/page")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    assert_accessible(page)
    page.goto(stage.login_link(Role.PROJECT_MANAGER, customers=[]))
    expect(page.get_by_role("heading", name="Three steps to the first commit")).to_be_visible()
    assert_accessible(page)


def test_viewers_page(visit: Visits, scene: Client) -> None:
    page = visit(scene.page, role=Role.VIEWER)
    settled(page)
    assert_accessible(page)


def test_dialogs(visit: Visits, scene: Client) -> None:
    page = visit("/overview")
    settled(page)

    def opened_by(name: str, role: str = "dialog", fill: Callable[[], None] | None = None) -> None:
        page.get_by_role("button", name=name, exact=True).first.click()
        dialog = page.get_by_role(role)  # type: ignore[arg-type]
        expect(dialog).to_be_visible()
        if fill:
            fill()
        assert_accessible(page)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()

    def wrong() -> None:
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("A customer needs a name.")).to_be_visible()

    def more() -> None:
        page.get_by_text("Order, dependencies, limits").click()
        page.get_by_role("button", name="Add a criterion").click()
        expect(page.get_by_label("Depends on")).to_be_visible()

    opened_by("Keyboard help")
    opened_by("Add customer", fill=wrong)
    opened_by("Emergency stop", "alertdialog")
    page.goto(scene.page)
    settled(page)
    opened_by("Add project")
    opened_by("Add task", fill=more)
    opened_by("Abort", "alertdialog")
    opened_by("Actions for Hold on", "menu")
    page.get_by_role("button", name="Actions for Hold on").click()
    page.get_by_role("menuitem", name="Cancel task").click()
    expect(page.get_by_role("alertdialog", name="Cancel “Hold on”?")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    opened_by("Switch customer", "menu")


def test_what_keeps_people_out_is_found(visit: Visits) -> None:
    page = visit("/overview")
    settled(page)
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        assert_accessible(page)
