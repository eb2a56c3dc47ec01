"""The HTML pages in a browser: nothing fails, nothing is fetched, nothing is cut off, every figure is drawn.

The tests need a Chromium with its driver (Debian: ``chromium`` and ``chromium-driver``).
"""

import json
import shutil

import pytest

from experiments.report.run_comparison import compare_runs

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
WIDE, NARROW = 1200, 400
"""Pixels: a desktop's window and a telephone's."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("there is no chromium and chromedriver on PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("browser")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module", params=["run", "comparison"])
def page(request, reported, tmp_path_factory):
    """The address of a page."""
    if request.param == "run":
        return (reported.run / "report" / "report.html").as_uri()
    out = tmp_path_factory.mktemp("compared") / "out"
    runs = request.getfixturevalue("runs")
    compare_runs([runs / "a", runs / "b"], out)
    return (out / "comparison.html").as_uri()


def opened(browser, page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == NARROW}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_cut_off_and_every_figure_is_drawn(browser, page, width):
    opened(browser, page, width)
    across = "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    needed, there = browser.execute_script(across)
    assert needed <= there <= width
    drawn = browser.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth])"
    )
    assert len(drawn) >= 3
    assert all(complete and wide > 0 for complete, wide in drawn)
    # Text that is wider than its box, in a box that does not scroll, cannot be read.
    hidden = """return [...document.querySelectorAll('body *')].filter(element =>
        element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
        && getComputedStyle(element).overflowX === 'hidden').map(element => element.outerHTML)"""
    assert browser.execute_script(hidden) == []


def test_nothing_fails_and_nothing_is_fetched(browser, page):
    opened(browser, page, WIDE)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    assert page in asked
    assert {url for url in asked if not url.startswith("data:")} == {page}
