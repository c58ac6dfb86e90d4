"""Every number of a published page leads to as many deals as it counts, for the company and for a member."""

import json

import pandas as pd
import pytest
from selenium.webdriver.common.by import By

from tests.faults.command import Company, exports, founded

pytestmark = pytest.mark.slow

FOLLOW = r"""
const wrong = []; let followed = 0;
for (const link of document.querySelectorAll("#funnel a.follow")) {
  const text = link.textContent.replace(/,/g, "").trim();
  if (!/^\d+$/.test(text)) continue;
  if (link.dataset.what === "began" && link.closest("td").cellIndex !== 1) continue;
  link.click();
  const listed = Number(document.querySelector(`#behind-${link.dataset.list} [data-cut]`).textContent.match(/of (\d+)/)[1]);
  followed += 1;
  if (listed !== Number(text)) wrong.push([link.dataset.what, link.dataset.stage, text, listed]);
}
return [followed, wrong];
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Company:
    """The tiny company as of a day within a month, with names of customers and owners."""
    company = founded(tmp_path_factory.mktemp("behind") / "company")
    deals = exports()["deals.csv"]
    names = ["Acme Ltd", "Wei Zhang", "<b>Bold</b> GmbH"]
    accounts = pd.DataFrame({"account_id": [f"A{n}" for n in range(3)], "name": names})
    company.write(deals=deals.assign(account_id=[f"A{n % 3}" for n in range(len(deals))]), accounts=accounts)
    company.configure("    owners: {files: owners.csv}", "    owners: {files: owners.csv}\n    accounts: {files: accounts.csv}")
    company.configure("segments: [source]", "segments: [source, owner]")
    said = company.run("--as-of", "2026-05-20")
    assert said.exit_code == 0, said.err
    return company


def choose(browser, control: str, value: int) -> None:
    script = "const s = document.getElementById(arguments[0]); s.selectedIndex = arguments[1]; s.dispatchEvent(new Event('change'))"
    browser.driver.execute_script(script, control, value)


def test_every_count_of_the_funnel_is_that_of_the_deals_listed(browser, published):
    browser.open(published.home.page)
    for dimension in (0, 1, 2):
        choose(browser, "dimension", dimension)
        periods = browser.driver.execute_script("return document.getElementById('period').options.length")
        assert periods > 1
        for period in range(periods):
            choose(browser, "period", period)
            followed, wrong = browser.driver.execute_script(FOLLOW)
            assert followed > 20
            assert wrong == [], (dimension, period)


def test_lists_of_deals_show_the_chosen_members_alone(browser, published):
    browser.open(published.home.page)
    rows = browser.driver.find_elements(By.CSS_SELECTOR, "#deals tr[data-deal]")
    choose(browser, "dimension", 2)
    shown = [row for row in rows if row.get_attribute("hidden") is None]
    assert 0 < len(shown) < len(rows)
    note = browser.driver.find_element(By.CSS_SELECTOR, "#deals .of-member").get_attribute("textContent")
    assert "rows are of" in note


def test_people_and_customers_stand_by_name_and_id_escaped(browser, published):
    text = published.home.page.read_text(encoding="utf-8")
    assert "Zhang San" in text and "U1" in text
    assert "Acme Ltd" in text and "W***" in text and "Wei Zhang" not in text
    assert "<b>Bold</b>" not in text
    browser.open(published.home.page)
    browser.driver.find_element(By.CSS_SELECTOR, "#deals a.follow[data-what=open]").click()
    listed = browser.driver.find_element(By.ID, "behind-deals").text
    assert "Acme Ltd" in listed and "<b>Bold</b> GmbH" in listed


def test_without_script_the_lists_are_the_whole_companys(browser, published):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(published.home.page)
        assert browser.driver.find_elements(By.CSS_SELECTOR, "#behind-deals tbody tr")
        assert browser.driver.find_elements(By.CSS_SELECTOR, "#behind-visits tbody tr")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_money_in_rejected_rows_is_told_with_and_without(published, tmp_path):
    company = published.copied(tmp_path / "rejected")
    deals = exports()["deals.csv"]
    still = deals.index[deals["closed_at"] == ""]
    deals.loc[still[0], ["stage", "amount"]] = ["Tlak", "1000"]
    deals.loc[still[1], ["stage", "amount"]] = ["Tlak", "about 5"]
    company.write(deals=deals)
    said = company.run()
    assert said.exit_code == 0, said.err
    text = company.home.page.read_text(encoding="utf-8")
    assert "with the 2 open deals in them" in text and "unknown, 1 rows" in text
    assert json.dumps("deals.csv")[1:-1] in text and 'id="found-1"' in text
