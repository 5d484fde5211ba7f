"""Real Chromium against a real engine: one engine and one browser for all journeys."""

import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from devteam.access.model import Role
from tests.browser.stage import WEB_APP, Client, Stage, Work, engine, eventually

HERE = Path(__file__).parent
RESULTS = Path("test-results")
WIDE, NARROW = (1440, 900), (390, 844)
_FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
_REPORT = pytest.StashKey[pytest.TestReport]()

expect.set_options(timeout=30_000)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Last of all: Playwright leaves an event loop running in this thread until its session ends."""
    # Among them the journeys first, whose beginning is an engine without customers.
    order = {"test_journeys.py": 1, "test_accessibility.py": 3}
    items.sort(key=lambda item: order.get(item.path.name, 2) if HERE in item.path.parents else 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know how the test went."""
    report = yield
    if report.when == "call":
        item.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The engine, with the built page."""
    if not WEB_APP.exists():
        pytest.fail("The web app is not built: run `make setup`.", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="devteam-test-"))
    folder.chmod(0o711)
    try:
        with engine(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing: apt-get install chromium.", pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield running
        running.close()


@dataclass
class Visits:
    """Browser windows, each with its own cookies; what goes wrong behind a page's face is a failure of the test."""

    browser: Browser
    stage: Stage
    contexts: list[BrowserContext] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tolerated: list[re.Pattern[str]] = field(default_factory=list)

    def __call__(
        self, path: str = "", *, role: Role | None = Role.ADMIN, size: tuple[int, int] = WIDE, **options: Any
    ) -> Page:
        """A window of a signed-in person, on `path` if one is given; role None: a stranger."""
        width, height = size
        context = self.browser.new_context(
            base_url=self.stage.address,
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            **options,
        )
        self.contexts.append(context)
        if role is not None:
            cookie = self.stage.session(role)
            context.add_cookies([{"name": "devteam_session", "value": cookie, "url": self.stage.address}])
        page = context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("response", self._on_response)
        page.on("requestfailed", self._on_failure)
        if path:
            page.goto(path)
        return page

    def tolerate(self, *patterns: str) -> None:
        """Problems that belong to the journey: `<status> <method> <path>`, `failed: …`, `console: …`."""
        self.tolerated += [re.compile(pattern) for pattern in patterns]

    def _on_console(self, message: ConsoleMessage) -> None:
        # What a status says is heard from the response itself, with its address.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"console: {message.text}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            path = response.url.removeprefix(self.stage.address)
            self.problems.append(f"{response.status} {response.request.method} {path}")

    def _on_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a page that is left gives up its requests
            self.problems.append(f"failed: {request.failure} {request.method} {request.url}")

    def unexpected(self) -> list[str]:
        return [each for each in self.problems if not any(pattern.search(each) for pattern in self.tolerated)]

    def keep(self, name: str) -> None:
        """Save what can be seen, and what the engine said, for whoever has to find out why."""
        folder = RESULTS / re.sub(r"[^\w.-]+", "-", name)
        folder.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(page for context in self.contexts for page in context.pages):
            page.screenshot(path=folder / f"page-{number}.png", full_page=True)
            (folder / f"page-{number}.txt").write_text(f"{page.url}\n\n{page.locator('body').aria_snapshot()}\n")
        (folder / "problems.txt").write_text("\n".join(self.problems))
        for file, text in self.stage.logs().items():
            (folder / file).write_text(text)


@pytest.fixture
def visit(browser: Browser, stage: Stage, request: pytest.FixtureRequest) -> Iterator[Visits]:
    """Opens windows; see Visits."""
    visits = Visits(browser, stage)
    try:
        yield visits
        report = request.node.stash.get(_REPORT, None)
        if report is None or report.failed or visits.unexpected():
            visits.keep(request.node.name)
        assert visits.unexpected() == []
    finally:
        for context in visits.contexts:
            context.close()


@pytest.fixture
def work() -> Iterator[Callable[[], Work]]:
    """Makes scripts that wait for their cue; at the end of the test all get it."""
    made: list[Work] = []

    def make() -> Work:
        made.append(Work())
        return made[-1]

    yield make
    for each in made:
        each.go()


@pytest.fixture(scope="session")
def scene(stage: Stage) -> Iterator[Client]:
    """A customer with something of everything: completed, failed, running and waiting, some of it with long names."""
    long = "Rename configuration_of_the_international_shipping_department_and_everything_that_mentions_it, everywhere"
    client = stage.client("Conglomerate of Exceptionally Long Names & Sons", gate="grep -q Hello README.md && echo ok")
    stage.client("Neighbours")
    running = Work()
    client.task("Add a line", r"printf '\033[32mgreen\033[0m and \033[1;31mred\033[0m\n'; echo line >> README.md")
    client.task(long, "echo broken > README.md", description=f"{long}.\n\nTwice.", estimateSeconds=600)
    client.task("Hold on", running.script)
    waits = client.task("Wait for a person", "true", mode="manual", assignee="Ann")
    client.task("Wait for another", "true", dependsOn=[waits])
    client.start()
    eventually(running.running, "the third task to run")
    yield client
    running.go()
