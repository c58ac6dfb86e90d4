"""The report page as text: what it says, that it says it safely, and what it says where there is nothing."""

import json
import re
import string
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from assets.reports import page as page_module
from assets.reports.page import TABLES, render_page
from assets.reports.page_changes import change_grid
from assets.reports.page_figures import Figures, phrases
from assets.reports.page_forecast import forecast_periods
from models.settings import Pipeline, Stage, Target
from quality.tables import EXPORTED
from tests.page_tables import AS_OF, HOSTILE, MEMBERS, page_company, page_tables, rows_where

SECTIONS = ("headline", "parts", "funnel", "quality", "stalled", "deals", "about")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return page_tables()


@pytest.fixture(scope="module")
def pages(tables) -> dict[str, str]:
    return {language: render_page(tables, page_company(), AS_OF, language) for language in ("en", "zh")}


def figures(language="en", **settings) -> Figures:
    return Figures(page_company(**settings), language, phrases(language))


def section(page: str, name: str) -> str:
    """The text of one section, tags taken out."""
    markup = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))


def embedded(page: str, name: str = "data") -> dict:
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)[1])


def test_every_phrase_is_there_in_both_languages_with_the_same_placeholders():
    text = Path(page_module.__file__).with_name("phrases.yaml").read_text(encoding="utf-8")
    for key, both in yaml.safe_load(text).items():
        assert set(both) == {"en", "zh"}, key
        fields = {language: {f for _, f, _, _ in string.Formatter().parse(words) if f} for language, words in both.items()}
        assert fields["en"] == fields["zh"], key
    keys = re.findall(r"^([\w.]+):", text, re.MULTILINE)
    assert len(keys) == len(set(keys))


def test_every_rule_and_every_table_of_the_contracts_is_worded_in_chinese():
    words = phrases("zh")
    codes = {rule.code for table in EXPORTED.values() for rule in table.info["rules"]}
    assert [code for code in sorted(codes) if f"expectation.{code}" not in words] == []
    assert [name for name in EXPORTED if f"table.{name}" not in words] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_section_stands_on_the_page(pages, language):
    assert all(f'<section id="{name}"' in pages[language] for name in SECTIONS)
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in pages[language]


def test_headline_says_amount_range_gap_attainment_and_noise_floor(tables):
    tables = dict(tables)
    forecast = tables["revenue_forecast"].copy()
    now = (forecast["period_start"] == pd.Timestamp(2025, 11, 1)) & (forecast["component"] == "total") & (forecast["dimension"] == "all")
    forecast.loc[now, ["mean", "p10", "p90", "noise_floor"]] = [5.4e6, 4.8e6, 6.3e6, 0.084]
    page = section(render_page({**tables, "revenue_forecast": forecast}, page_company(), AS_OF, "en"), "headline")
    for text in ("Nov 2025", "CNY 5.40 M", "4.80 M – 6.30 M", "6.00 M", "−600 K", "90%", "80% – 105%", "chance alone leaves ±8%"):
        assert text in page
    page = section(render_page({**tables, "revenue_forecast": forecast}, page_company(), AS_OF, "zh"), "headline")
    for text in ("2025年11月", "540.0 万元", "480.0 – 630.0", "−60.0", "90%", "±8%"):
        assert text in page


def test_parts_and_simple_methods_stand_beside_each_other(tables, pages):
    forecast = rows_where(tables["revenue_forecast"], dimension="all", period_kind="quarter", period_start="2025-10-01", component="open_pipeline")
    text = section(pages["en"], "parts")
    assert figures().amount_cell(forecast["mean"].iloc[0]) in text
    assert "weighted pipeline" in text and "run rate" in text


def test_links_from_headline_figures_lead_to_lists_that_exist(pages):
    targets = set(re.findall(r'href="#([^"]+)"', pages["en"]))
    ids = set(re.findall(r'\sid="([^"]+)"', pages["en"]))
    assert "deals-month-2025-11-01" in targets
    assert targets <= ids


@pytest.mark.parametrize("as_of, current", [(date(2025, 11, 20), "Nov 2025"), (date(2025, 11, 30), "Dec 2025")])
def test_at_a_months_last_day_the_next_month_is_current(tables, as_of, current):
    page = render_page(tables, page_company(), as_of, "en")
    assert re.search(r'id="card-month">\s*<h3>([^<]+?) <', page)[1] == current


def test_track_record_names_the_better_method_and_its_origins(tables, pages):
    assert re.search(r"missed by [\d.]+% of bookings \(n=12\); the best simple method, run rate,", section(pages["en"], "parts"))
    scored = tables["forecast_accuracy"].copy()
    ours = scored["method"] == "semi_markov"
    scored.loc[ours, "forecast"] = scored.loc[ours, "actual"] * 3
    worse = section(render_page({**tables, "forecast_accuracy": scored}, page_company(), AS_OF, "en"), "parts")
    assert "a simple method was no worse: run rate" in worse and "this method by 200.0%" in worse


def test_wape_is_summed_error_over_summed_actual(tables):
    scored = tables["forecast_accuracy"].head(2).assign(lead_months=1, method="run_rate", forecast=[120.0, 250.0], actual=[100.0, 300.0])
    page = section(render_page({**tables, "forecast_accuracy": scored}, page_company(), AS_OF, "en"), "parts")
    assert "17.5%" in page and "−7.5%" in page  # (20 + 50) ÷ 400 and (20 − 50) ÷ 400


def test_says_that_the_deal_level_signal_is_no_better_than_the_base_rate(pages):
    tables = page_tables(method="base_rate")
    assert "no better than the base rate" in section(render_page(tables, page_company(), AS_OF, "en"), "parts")
    assert "不优于基准赢率" in section(render_page(tables, page_company(), AS_OF, "zh"), "parts")
    assert "no better than the base rate" not in pages["en"]


def test_an_interval_that_holds_zero_is_not_called_better(tables):
    unsure = tables["deal_accuracy"].assign(gain_low=-0.01)
    page = section(render_page({**tables, "deal_accuracy": unsure}, page_company(), AS_OF, "en"), "parts")
    assert "is not settled" in page


def test_funnel_shows_the_last_whole_month_first_and_marks_the_partial_one(pages):
    options = re.findall(r"<option>([^<]+)</option>", pages["en"])
    assert options == ["Oct 2025", "Q3 2025", "Nov 2025 (partial: up to 20 Nov 2025)", "Q4 2025 (partial: up to 20 Nov 2025)"]
    assert '<b id="period-shown">Oct 2025</b>' in pages["en"]


def test_stages_are_named_in_the_pages_language(pages):
    assert "Need confirmed" in section(pages["en"], "funnel") and "需求确认" not in pages["en"]
    assert "需求确认" in section(pages["zh"], "funnel") and "Need confirmed" not in pages["zh"]


def test_several_pipelines_are_told_apart():
    pipelines = tuple(Pipeline(key=key, stages=(Stage(key="first"),)) for key in ("direct", "partner"))
    company = page_company().model_copy(update={"pipelines": pipelines})
    assert Figures(company, "en", phrases("en")).stage("partner:first") == "partner · first"


def test_rates_of_few_deals_are_greyed(tables):
    few = tables["stage_conversion"].assign(entered=9)
    many = tables["stage_conversion"].assign(entered=10)
    head = '<tr class="small"'
    assert head in render_page({**tables, "stage_conversion": few}, page_company(), AS_OF, "en")
    assert head not in render_page({**tables, "stage_conversion": many, "stage_dwell": tables["stage_dwell"].assign(completed=10)}, page_company(), AS_OF, "en")


@pytest.mark.parametrize(("won", "greyed"), [(9, True), (10, False)])
def test_what_rests_on_few_wins_is_greyed(tables, won, greyed):
    page = render_page({**tables, "win_rates": tables["win_rates"].assign(won=won, lost=30)}, page_company(), AS_OF, "en")
    funnel = re.search(r'<section id="funnel".*?</section>', page, re.DOTALL)[0]
    for name in ("Sales cycle", "Velocity"):
        assert bool(re.search(rf'<div class="small"[^>]*><dt>{name}', funnel)) == greyed, name
    assert bool(re.search(r'<span class="small"[^>]*>mean deal', funnel)) == greyed


@pytest.mark.parametrize(("opening", "greyed"), [(4, True), (5, False)])
def test_a_template_ratio_is_greyed_by_what_it_divides_by(tables, opening, greyed):
    few = tables["funnel_flow"].assign(opening=opening, entered_new=6, entered_advanced=0, entered_regressed=0, entered_reopened=0, lost=1)
    funnel = render_page({**tables, "funnel_flow": few}, page_company(), AS_OF, "en")
    assert bool(re.search(r'<td class="n"><span class="small"', funnel)) == greyed


def test_a_quarters_target_is_the_sum_of_its_months_where_all_have_one(tables):
    company = page_company()
    months = [Target(period_start=date(2025, month, 1), target=1e6 * month) for month in (10, 11, 12)]
    summed = company.model_copy(update={"targets": tuple(months)})
    text = section(render_page(tables, summed, AS_OF, "en"), "headline")
    assert "33.0 M sum of its months" in text
    text = section(render_page(tables, company.model_copy(update={"targets": tuple(months[:2])}), AS_OF, "en"), "headline")
    assert "sum of its months" not in text and "no target for this quarter" in text and "no target for this month" in text
    own = (*months, Target(period_kind="quarter", period_start=date(2025, 10, 1), target=4e7))
    text = section(render_page(tables, company.model_copy(update={"targets": own}), AS_OF, "en"), "headline")
    assert "40.0 M" in text and "sum of its months" not in text


def test_periods_are_named_by_what_they_are(tables):
    assert "Nov 2025 current month" in section(render_page(tables, page_company(), AS_OF, "en"), "headline")
    last_day = section(render_page(tables, page_company(), date(2025, 11, 30), "en"), "headline")
    assert "Dec 2025 next month" in last_day and "at 30 Nov 2025 the period that ended with it is over" in last_day
    assert "next month" not in section(render_page(tables, page_company(), AS_OF, "en"), "headline")


def test_a_finished_month_shows_what_was_won_and_no_range_or_ring(tables):
    page = render_page(tables, page_company(), date(2025, 11, 30), "en")
    row = re.search(r'<div class="barrow"><span class="name">Nov 2025 <small>over</small>.*?</div>', page, re.DOTALL)[0]
    assert "<circle" not in row and "whisker" not in row


def test_signs_of_stalling_are_told_apart(tables):
    risks = tables["risk_list"]
    zombies = risks.loc[risks["signal"] == "zombie", "opportunity_id"].nunique()
    text = section(render_page(tables, page_company(), AS_OF, "en"), "headline")
    others = risks["opportunity_id"].nunique() - zombies
    assert re.search(rf"Nothing happening: {zombies} deals, CNY [^;]+; Overtime in stage: {others} deals", text)


def test_times_are_told_in_the_companys_zone(tables):
    page = render_page(tables, page_company(time_zone="Asia/Shanghai"), AS_OF, "zh")
    assert "2025年11月21日 08:34 (Asia/Shanghai)" in page and "UTC" not in section(page, "about")


def test_a_reason_names_its_column(tables):
    reasons = json.dumps([{"code": "unreadable_created_at", "column": "created_at", "expected": "the value can be read in one of the declared forms"}])
    rejected = {**tables, "rejected_rows": tables["rejected_rows"].assign(reasons=reasons)}
    assert "created_at: the value can be read in one of the declared forms" in section(render_page(rejected, page_company(), AS_OF, "en"), "quality")
    chinese = section(render_page(rejected, page_company(), AS_OF, "zh"), "quality")
    assert "创建时间可按声明的格式读取" in chinese and "created_at" not in chinese.split("拒收行")[1]


def test_rows_read_are_accounted_for(pages):
    assert "12,011 rows read = 11,650 accepted + 264 superseded + 97 rejected" in section(pages["en"], "quality")


def test_findings_come_by_severity_and_money_and_only_where_something_failed(pages):
    text = section(pages["en"], "quality")
    assert text.index("parent_rejected") < text.index("won_without_amount")
    assert "exited_before_entered" not in text
    assert "unknown, 3 rows" in text


def test_rejected_rows_say_why_in_words_and_where_the_others_are(pages):
    assert "First 20 of 26; all in table rejected_rows." in section(pages["en"], "quality")
    assert "关闭不早于创建；阶段有值" in section(pages["zh"], "quality")


def test_stalled_deals_come_largest_first_with_all_their_signals(tables, pages):
    risks = tables["risk_list"]
    largest = risks.sort_values("amount")["opportunity_id"].iloc[-1]
    text = section(pages["en"], "stalled")
    assert min(text.index(deal) for deal in risks["opportunity_id"].unique()) == text.index(largest)
    assert text.count("Overtime in stage") == 15 and text.count("Nothing happening") == 7


def test_reasons_add_up_to_their_sum_when_some_are_put_together(tables):
    reasons = json.dumps([{"code": f"c{n}", "log_odds": value} for n, value in enumerate((1.0, -0.9, 0.8, -0.7, 0.25, 0.15))])
    one = tables["win_probability"].head(1).assign(reasons=reasons)
    text = section(render_page({**tables, "win_probability": one}, page_company(), AS_OF, "en"), "deals")
    assert "2 others together +0.40" in text and "c3 −0.70" in text


def test_what_was_not_computed_is_said(pages):
    assert "follow-up cadence and days without activity: no activities export" in section(pages["en"], "about")
    assert "duckdb 2.0.0" in section(pages["en"], "about")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_tables_every_section_says_why_it_is_empty(language):
    page = render_page({}, page_company(targets=False), AS_OF, language)
    for name in SECTIONS:
        assert 'class="empty"' in re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0], name
    assert phrases(language)["list.not_published"].format(table="risk_list") in page


def test_empty_tables_are_told_from_missing_ones(tables):
    page = render_page({name: frame.head(0) for name, frame in tables.items()}, page_company(targets=False), AS_OF, "en")
    assert "No row was rejected." in page and "No open deal shows a sign of stalling." in page and "was not published" not in page


@pytest.mark.parametrize("name", TABLES)
def test_each_table_may_be_missing(tables, name):
    assert "</html>" in render_page({other: frame for other, frame in tables.items() if other != name}, page_company(), AS_OF, "en")


def test_without_targets_the_page_says_so(tables):
    text = section(render_page(tables, page_company(targets=False), AS_OF, "en"), "headline")
    assert "No targets configured" in text and "Attainment range" not in text


def test_a_table_without_a_declared_column_is_an_error_that_names_it(tables):
    with pytest.raises(KeyError, match="run_log has no column versions"):
        render_page({**tables, "run_log": tables["run_log"].drop(columns="versions")}, page_company(), AS_OF, "en")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_exported_text_is_escaped_everywhere(tables, language):
    hostile = {
        **tables,
        "win_probability": tables["win_probability"].assign(owner_id=HOSTILE, opportunity_id=lambda f: HOSTILE + f["opportunity_id"]),
        "win_timing": tables["win_timing"].assign(opportunity_id=lambda f: HOSTILE + f["opportunity_id"]),
        "risk_list": tables["risk_list"].assign(evidence=HOSTILE, suggested_action=HOSTILE, stage=HOSTILE, owner_id=HOSTILE),
        "rejected_rows": tables["rejected_rows"].assign(export=HOSTILE, owner_id=HOSTILE, reasons=json.dumps([{"code": "x", "expected": HOSTILE}])),
        "data_quality": tables["data_quality"].assign(meaning=HOSTILE, expectation=HOSTILE),
        "run_log": tables["run_log"].assign(run_id=HOSTILE, skipped=json.dumps([{"what": HOSTILE, "why": HOSTILE}]), as_of_from=HOSTILE),
    }
    company = page_company().model_copy(update={"name": HOSTILE})
    page = render_page(hostile, company, AS_OF, language)
    assert page.count("<script") == page.count("</script>") == 4
    assert 'alert("x")' not in page
    assert HOSTILE in [m["member"] for m in embedded(page, "members")["region"]]


def test_asks_for_nothing_outside_itself(pages):
    page = pages["en"]
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" in page
    assert not re.search(r"https?://|\ssrc=|url\(|@import|<link", page)


def test_equal_tables_give_equal_text_in_any_order_of_rows(tables, pages):
    shuffled = {name: frame.sample(frac=1, random_state=3) for name, frame in tables.items()}
    assert render_page(shuffled, page_company(), AS_OF, "en") == pages["en"]


def test_page_data_hold_every_segment_in_the_places_of_the_company(tables, pages):
    data = embedded(pages["en"])
    north = data["forecast"]["cells"]["region\u001fNorth"]
    place = int(re.search(r'id="card-month".*?data-text="(\d+)"', pages["en"], re.DOTALL)[1])
    forecast = rows_where(tables["revenue_forecast"], member="North", period_start="2025-11-01", component="total")
    assert north[place] == figures().amount(forecast["mean"].iloc[0])
    assert {len(cells) for cells in data["forecast"]["cells"].values()} == {len(data["forecast"]["blank"])}


def test_long_lists_are_cut_and_say_so():
    members = (*MEMBERS, *(("owner", f"p-{n:03d}") for n in range(250)))
    page = render_page(page_tables(members, deals=80), page_company(), AS_OF, "en")
    assert "owner: first 200 of 252" in page
    assert len(embedded(page, "members")["owner"]) == 200
    assert "First 50 of 80; all in table win_probability." in page


@pytest.mark.parametrize(
    "amount, en, zh",
    [
        (0, "CNY 0", "0 万元"),
        (950, "CNY 950", "0.1 万元"),
        (12_345_000, "CNY 12.3 M", "1,234.5 万元"),
        (999_600, "CNY 1.00 M", "100.0 万元"),
        (-2_500_000, "CNY −2.50 M", "−250.0 万元"),
        (2.5e9, "CNY 2.50 B", "250,000.0 万元"),
        (float("nan"), "—", "—"),
    ],
)
def test_amounts(amount, en, zh):
    assert figures("en").amount(amount) == en
    assert figures("zh").amount(amount) == zh


def test_amounts_name_another_currency():
    assert figures("zh", currency="USD").amount(50_000) == "5.0 万美元"
    assert figures("zh", currency="CHF").amount(50_000) == "5.0 万 CHF"


@pytest.mark.parametrize("share, text", [(0.0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.999, ">99%"), (1.0, "100%"), (-0.12, "−12%"), (None, "—")])
def test_shares_never_round_to_certainty(share, text):
    assert figures().share(share) == text


def test_periods_of_a_shifted_fiscal_year():
    assert figures(fiscal_year_start_month=4).period("quarter", date(2025, 4, 1)) == "Q1 FY2026"
    assert figures("zh", fiscal_year_start_month=4).period("quarter", date(2026, 1, 1)) == "2026财年第4季度"
    assert figures().period("quarter", date(2025, 10, 1)) == "Q4 2025"


def test_the_probability_of_making_a_target_stands_beside_the_gap(tables):
    text = section(render_page(tables, page_company(), AS_OF, "en"), "headline")
    assert "P(target made) 37%" in text
    assert "P(target made)" not in section(render_page(tables, page_company(targets=False), AS_OF, "en"), "headline")


def test_what_changed_stands_for_every_period_that_was_covered(tables):
    grid = change_grid(tables, forecast_periods(tables, AS_OF, figures()), [("all", "all"), ("region", "North")], figures())
    assert grid.rows == ["month 2025-11-01", "month 2025-12-01", "month 2026-01-01", "quarter 2025-10-01", "quarter 2026-01-01"]
    row = rows_where(tables["forecast_changes"], dimension="all", period_kind="month", period_start="2025-12-01").set_index("cause")["amount"]
    assert grid.text("month 2025-12-01", "opening") == figures().amount_cell(row["opening"])
    assert grid.text("month 2025-12-01", "lost") == figures().signed_amount(row["lost"]) and "\N{MINUS SIGN}" in grid.text("month 2025-12-01", "lost")
    assert grid.text("month 2025-12-01", "timing") == "0"
    text = section(render_page(tables, page_company(), AS_OF, "en"), "parts")
    assert "What changed since 31 Oct 2025" in text and grid.text("month 2025-12-01", "won") in text
    only_pipeline = {**tables, "forecast_changes": tables["forecast_changes"].assign(subject="pipeline")}
    assert "cannot be replayed" in section(render_page(only_pipeline, page_company(), AS_OF, "en"), "parts")
