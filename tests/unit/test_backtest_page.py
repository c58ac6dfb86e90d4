"""The backtest page as text: its figures by hand, in both languages, and what it says where nothing can be judged."""

import re

import pandas as pd
import pytest

from assets.reports.backtest import TABLES, render_backtest
from assets.reports.backtest_plots import months_drawing, reliability_drawing
from assets.reports.page_figures import Figures, phrases
from pipelines.backtest import as_csv
from tests.page_tables import AS_OF, HOSTILE, page_company, page_tables


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    held = page_tables()
    return {name: held[name] for name in TABLES}


def text(page: str, section: str) -> str:
    markup = re.search(rf'<section id="{section}".*?</section>', page, re.DOTALL)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))


def test_it_stands_alone_in_both_languages(tables):
    for language, title in (("en", "What was judged"), ("zh", "评估范围")):
        page = render_backtest(tables, page_company(), AS_OF, language)
        assert title in page and "http" not in re.sub(r"http-equiv", "", page)
        assert "default-src 'none'" in page and "<script" not in page
        assert page == render_backtest(tables, page_company(), AS_OF, language)


def test_error_bias_and_coverage_are_those_of_the_rows(tables):
    accuracy = tables["forecast_accuracy"]
    rows = accuracy[(accuracy["method"] == "semi_markov") & (accuracy["lead_months"] == 1)].head(4)
    ours = rows.assign(forecast=[110.0, 90.0, 100.0, 130.0], actual=100.0, p10=[95.0, 80.0, 101.0, 90.0], p90=[120.0, 105.0, 110.0, 140.0])
    simple = rows.assign(method="run_rate", forecast=[140.0, 100.0, 100.0, 100.0], actual=100.0, p10=float("nan"), p90=float("nan"))
    scored = pd.concat([ours, simple], ignore_index=True)
    scored = scored.assign(error=scored["forecast"] - scored["actual"], absolute_error=(scored["forecast"] - scored["actual"]).abs())
    page = render_backtest({**tables, "forecast_accuracy": scored}, page_company(), AS_OF, "en")
    revenue = text(page, "revenue")
    assert "12.5%" in revenue and "bias +7.5%" in revenue and "×1.25 of the best simple" in revenue and "n=4" in revenue
    # Three of four lie inside (the third lies below its range): 75 %, Wilson 30 % to 95 %.
    assert "75% 3 of 4 30% – 95%" in text(page, "coverage")


def test_deals_stand_beside_the_majority_answer_and_the_calls(tables):
    deals = text(render_backtest(tables, page_company(), AS_OF, "en"), "deals")
    assert "77.0%" in deals and "40% 87.0% right, n=736" in deals and "0.041 – 0.079" in deals


def test_a_company_without_a_record_gets_a_page_that_says_so():
    for language, words in (("en", "No past forecast can be scored yet"), ("zh", "尚无可评分的历史预测")):
        page = render_backtest({}, page_company(), AS_OF, language)
        assert page.count(words) == 6


def test_what_is_exported_is_escaped_and_never_a_formula(tables):
    hostile = tables["call_record"].assign(dimension="owner", member=HOSTILE)
    page = render_backtest({**tables, "call_record": hostile}, page_company(), AS_OF, "en")
    assert HOSTILE not in page and "&lt;/script&gt;" in page
    written = as_csv(pd.DataFrame({"member": ["=1+1", "a,b", "华东", None], "n": [-1, 2, 3, 4]})).decode("utf-8-sig").splitlines()
    assert written == ["member,n", "'=1+1,-1", '"a,b",2', "华东,3", ",4"]


def test_drawings_stay_inside_and_have_round_marks():
    figures = Figures(page_company(), "en", phrases("en"))
    bins = pd.DataFrame({"predicted": [0.05, 0.31], "observed": [0.0, 0.4], "observed_low": [0.0, 0.3], "observed_high": [0.1, 0.52]})
    drawn = reliability_drawing(bins)
    assert [tick["label"] for tick in drawn.ticks] == ["0%", "15%", "30%", "45%", "60%"]
    assert all(10 <= p["high"] <= p["y"] <= p["low"] <= 174 for p in drawn.points)
    months = pd.DataFrame(
        {
            "period_start": pd.date_range("2025-01-01", periods=2, freq="MS"),
            "forecast": [7e6, 8e6],
            "p10": [6e6, 7e6],
            "p90": [9e6, 9e6],
            "actual": [5e6, 9.4e6],
        }
    )
    drawn = months_drawing(months, figures)
    assert [tick["label"] for tick in drawn.ticks] == ["0", "2.50 M", "5.00 M", "7.50 M", "10.0 M"]
    assert months_drawing(months.iloc[:0], figures).points == []
