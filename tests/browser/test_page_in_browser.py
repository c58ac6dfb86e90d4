"""The report page in a real browser: silent, self-contained, filterable, readable on a phone and without script."""

import base64

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from assets.reports.page import render_page
from assets.reports.page_figures import Figures, phrases
from tests.browser.conftest import DESKTOP, PHONE
from tests.page_tables import AS_OF, HOSTILE, page_company, page_tables, rows_where


@pytest.fixture(scope="module")
def tables():
    return page_tables()


@pytest.fixture(scope="module")
def pages(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    files = {language: folder / f"{language}.html" for language in ("en", "zh")}
    for language, file in files.items():
        file.write_text(render_page(tables, page_company(), AS_OF, language), encoding="utf-8")
    blank = folder / "blank.html"
    blank.write_text("<!DOCTYPE html><title>blank</title>", encoding="utf-8")
    empty = folder / "empty.html"
    empty.write_text(render_page({}, page_company(targets=False), AS_OF, "en"), encoding="utf-8")
    return {**files, "blank": blank, "empty": empty}


def text(browser, selector):
    return browser.driver.find_element(By.CSS_SELECTOR, selector).text


def choose(browser, dimension, member):
    for control, value in (("dimension", dimension), ("member", member)):
        options = Select(browser.driver.find_element(By.ID, control)).options
        next(option for option in options if option.get_attribute("value") == value).click()


@pytest.mark.parametrize("page", ["en", "zh", "empty"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_says_nothing_on_the_console_and_asks_for_nothing(browser, pages, page, size):
    browser.open(pages[page], size)
    if page != "empty":
        choose(browser, "region", "North")
    assert browser.console() == []
    assert browser.requests() == [pages[page].as_uri()]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_is_painted_and_fits_the_width(browser, pages, language, size):
    browser.open(pages["blank"], size)
    blank = base64.b64decode(browser.driver.get_screenshot_as_base64())
    browser.open(pages[language], size)
    painted = base64.b64decode(browser.driver.get_screenshot_as_base64())
    assert len(painted) > 5 * len(blank)
    assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= size[0]


def test_filter_exchanges_forecast_and_funnel_and_comes_back(browser, pages, tables):
    figures = Figures(page_company(), "en", phrases("en"))
    browser.open(pages["en"])
    company = text(browser, "main")
    choose(browser, "region", "North")
    expected = rows_where(tables["revenue_forecast"], member="North", period_start="2025-11-01", component="total")["mean"].iloc[0]
    assert text(browser, "#card-month .big") == figures.amount(expected)
    entered = rows_where(tables["stage_conversion"], member="North", period_kind="month", period_start="2025-10-01", stage="potential")["entered"].iloc[0]
    assert text(browser, "#funnel tbody tr td") == figures.count(entered)
    assert text(browser, "#shown") == "Forecast, funnel and lists of: region = North"
    Select(browser.driver.find_element(By.ID, "dimension")).select_by_value("all")
    assert text(browser, "main") == company


def test_a_hostile_member_is_only_text(browser, pages):
    browser.open(pages["en"])
    choose(browser, "region", HOSTILE)
    assert HOSTILE in text(browser, "#shown")
    assert browser.console() == []


def test_another_period_of_the_funnel_can_be_chosen(browser, pages, tables):
    browser.open(pages["en"])
    Select(browser.driver.find_element(By.ID, "period")).select_by_index(2)
    partial = rows_where(tables["stage_conversion"], dimension="all", period_kind="month", period_start="2025-11-01", stage="potential")
    assert text(browser, "#funnel tbody tr td") == str(partial["entered"].iloc[0])
    assert text(browser, "#period-shown") == "Nov 2025 (partial: up to 20 Nov 2025)"


def test_a_headline_figure_leads_to_the_deals_behind_it(browser, pages):
    browser.open(pages["en"])
    deals = browser.driver.find_element(By.ID, "deals-month-2025-11-01")
    assert not deals.is_displayed()
    browser.driver.find_element(By.CSS_SELECTOR, "#card-month .big a").click()
    assert deals.is_displayed()


def test_is_complete_without_script(browser, pages):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(pages["en"])
        assert text(browser, "#card-month .big").startswith("CNY ")
        assert not browser.driver.find_element(By.ID, "filter").is_displayed()
        assert text(browser, "#period-shown") == "Oct 2025"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
