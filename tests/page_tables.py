"""Plausible published tables of a small company, for tests of the report page.

What belongs here: made-up rows in the columns of their contracts, equal for equal arguments. What does not: anything
a metric or model would have to compute right; only the identities that the page states (parts add up to the total).
"""

import json
from datetime import date

import numpy as np
import pandas as pd

from models.settings import Company, Labels, Pipeline, Stage, Target
from quality.tables import PUBLISHED

AS_OF = date(2025, 11, 20)

STAGES = (
    ("potential", "潜在客户", 0.45, 14.0),
    ("need_confirmed", "需求确认", 0.5, 21.0),
    ("proposal", "方案展示", 0.55, 18.0),
    ("negotiation", "商务谈判", 0.7, 12.0),
)

MEMBERS = (("all", "all"), ("region", "华东"), ("region", "North"), ("region", "unassigned"), ("owner", "u-101"), ("owner", "u-102"))

HOSTILE = """</script><script>alert("x")</script>'&"""
"""A member as an attacker might name it."""


def page_company(targets: bool = True, **settings) -> Company:
    """A company with four stages, one pipeline and, unless told otherwise, monthly and quarterly targets."""
    aims = [("month", date(2025, month, 1), 6.0e6) for month in (11, 12)] + [("quarter", date(2025, 10, 1), 1.75e7)]
    return Company(
        name="Example Instruments",
        pipelines=(
            Pipeline(
                stages=tuple(
                    Stage(
                        key=key,
                        labels=Labels(en=key.replace("_", " ").capitalize(), zh=zh),
                        benchmark_conversion=conversion,
                        benchmark_days=days,
                    )
                    for key, zh, conversion, days in STAGES
                )
            ),
        ),
        segments=("region", "owner"),
        targets=tuple(Target(period_kind=k, period_start=s, target=t) for k, s, t in aims) if targets else (),
        **settings,
    )


def page_tables(
    members: tuple[tuple[str, str], ...] = (*MEMBERS, ("region", HOSTILE)), deals: int = 60, method: str = "semi_markov"
) -> dict[str, pd.DataFrame]:
    """Every table that the page reads, as of `AS_OF`, for ``members`` and ``deals`` open deals."""
    rng = np.random.default_rng(7)
    tables = {
        **_forecasts(rng, members, method),
        **_accuracy(rng, method),
        **_funnel(rng, members),
        **_deals(rng, deals, method),
        **_runs(rng),
    }
    return {name: _in_contract(name, frame) for name, frame in tables.items()}


def rows_where(frame: pd.DataFrame, **values) -> pd.DataFrame:
    """The rows in which each named column has the value given; at least one, so that no test runs on nothing."""
    found = frame[(frame[list(values)] == pd.Series({c: pd.Timestamp(v) if c == "period_start" else v for c, v in values.items()})).all(axis="columns")]
    if found.empty:
        raise LookupError(f"no row has {values}")
    return found


def _in_contract(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in its contract's columns, as the lake gives it."""
    contract = PUBLISHED[name]
    times = {c.name: "datetime64[us]" for c in contract.columns if c.info["unit"] in ("date", "time")}
    return frame.assign(as_of=pd.Timestamp(AS_OF))[[c.name for c in contract.columns]].astype(times)


def _product(**values) -> pd.DataFrame:
    """All combinations of the given lists, one column each."""
    index = pd.MultiIndex.from_product(list(values.values()), names=list(values))
    return index.to_frame(index=False)


def _spread(frame: pd.DataFrame, **pairs) -> pd.DataFrame:
    """Columns of pairs taken apart into two columns each."""
    for column, names in pairs.items():
        frame[list(names)] = pd.DataFrame(frame[column].tolist(), index=frame.index)
    return frame.drop(columns=list(pairs))


def _forecasts(rng: np.random.Generator, members: tuple, method: str) -> dict[str, pd.DataFrame]:
    periods = [
        *(("month", pd.Timestamp(2025, 11, 1) + pd.DateOffset(months=ahead)) for ahead in range(4)),
        ("quarter", pd.Timestamp(2025, 10, 1)),
        ("quarter", pd.Timestamp(2026, 1, 1)),
    ]
    keys = _spread(_product(period=periods, segment=list(members)), period=("period_kind", "period_start"), segment=("dimension", "member"))
    size = np.where(keys["dimension"] == "all", 1.0, 0.3) * np.where(keys["period_kind"] == "quarter", 3.0, 1.0)
    started = keys["period_start"] <= pd.Timestamp(AS_OF)
    parts = {
        "won": np.round(3.2e6 * size * started, 2),
        "open_pipeline": np.round(2.1e6 * size * rng.uniform(0.8, 1.3, len(keys)), 2),
        "new_business": np.round(0.8e6 * size * rng.uniform(0.5, 2.0, len(keys)), 2),
    }
    parts["total"] = sum(parts.values())
    spread = np.where(started, 0.12, 0.3)
    rows = [
        keys.assign(
            component=component,
            mean=mean,
            **{
                f"p{q:02d}": np.maximum(mean * (1 + z * spread * (component != "won")), 0)
                for q, z in ((5, -1.6), (10, -1.2), (25, -0.6), (50, -0.05), (75, 0.6), (90, 1.3), (95, 1.8))
            },
            expected_wins=mean / 310_000,
            noise_floor=spread,
            method=method,
        )
        for component, mean in parts.items()
    ]
    total = parts["total"]
    simple = {"weighted_pipeline": 1.35, "run_rate": 0.92, "same_period_last_year": 0.8, "crm_probability": 1.6}
    baselines = [keys.assign(method=name, value=np.round(total * factor, 2)) for name, factor in simple.items()]
    return {
        "revenue_forecast": pd.concat(rows, ignore_index=True),
        "forecast_baselines": pd.concat(baselines, ignore_index=True),
        "forecast_changes": _changes(keys, total),
        "target_outlook": _target_outlook(keys, parts),
    }


def _target_outlook(keys: pd.DataFrame, parts: dict[str, np.ndarray]) -> pd.DataFrame:
    """What is said of the company's targets of `page_company`."""
    aims = {"month 2025-11-01": 6.0e6, "month 2025-12-01": 6.0e6, "quarter 2025-10-01": 1.75e7}
    target = (keys["period_kind"] + " " + keys["period_start"].dt.strftime("%Y-%m-%d")).map(aims).where(keys["dimension"] == "all")
    rows = keys.assign(target=target, won=parts["won"], mean=parts["total"], gap=target - parts["total"], p_target=0.37)
    return rows[target.notna()].assign(coverage_now=2.5, coverage_needed=3.1, n=9)


def _changes(keys: pd.DataFrame, total: np.ndarray) -> pd.DataFrame:
    """What changed in the mean, of the months and quarters but the last: the parts add up from opening to closing."""
    covered = keys[keys["period_start"] < pd.Timestamp(2026, 2, 1)]
    closing = total[covered.index]
    shares = {"won": 0.2, "lost": -0.15, "created": 0.05, "progress": -0.04, "new_business": 0.01, "model": 0.02}
    parts = {cause: np.round(share * closing, 2) for cause, share in shares.items()}
    parts |= {"opening": np.round(closing - sum(parts.values()), 2), "closing": closing}
    rows = [covered.assign(since=pd.Timestamp(2025, 10, 31), subject="forecast", cause=cause, amount=amount, deals=7) for cause, amount in parts.items()]
    return pd.concat(rows, ignore_index=True)


def _accuracy(rng: np.random.Generator, method: str) -> dict[str, pd.DataFrame]:
    errors = {method: 0.11, "weighted_pipeline": 0.34, "run_rate": 0.2, "same_period_last_year": 0.27, "crm_probability": 0.55}
    origins = list(pd.date_range("2024-10-31", "2025-09-30", freq="ME"))
    scored = _product(origin=origins, lead_months=[1, 2, 3], method=list(errors))
    scored["period_start"] = [
        o + pd.DateOffset(days=1) + pd.DateOffset(months=lead - 1) for o, lead in zip(scored["origin"], scored["lead_months"], strict=True)
    ]
    scored = scored[scored["period_start"] < pd.Timestamp(2025, 11, 1)]
    actual = 5.4e6 + 4e5 * scored["period_start"].dt.month.mod(5)
    error = actual * scored["method"].map(errors) * (0.8 + 0.3 * scored["lead_months"]) * rng.normal(0.2, 1.2, len(scored))
    ranged = scored["method"] == method
    scored = scored.assign(
        period_kind="month",
        dimension="all",
        member="all",
        kind="replayed",
        forecast=actual + error,
        actual=actual,
        error=error,
        absolute_error=error.abs(),
        p10=(actual + error).where(ranged) * 0.85,
        p90=(actual + error).where(ranged) * 1.2,
    )
    scored["inside_80"] = scored["actual"].between(scored["p10"], scored["p90"]).astype(object).where(ranged, None)
    horizons = _product(method=["base_rate", "semi_markov"], horizon=["month_1", "month_2", "month_3", "ever", "which"])
    better = horizons["method"] != "base_rate"
    deals = horizons.assign(
        deals=1840,
        origins=12,
        base_rate=0.23,
        log_loss=np.where(better, 0.41, 0.47),
        brier=0.13,
        auc=np.where(better, 0.78, 0.5),
        calibration_error=0.02,
        gain=np.where(better, 0.06, 0.0),
        gain_low=np.where(better, 0.041, 0.0),
        gain_high=np.where(better, 0.079, 0.0),
        accuracy=0.8,
        majority_rate=0.77,
        callable_share=0.4,
        callable_deals=736,
        callable_accuracy=0.87,
        is_published=horizons["method"] == method,
    )
    choice = _product(origin=origins, question=["deals", "revenue"]).assign(
        method=method, score=lambda f: 0.1 + 0.02 * (f.index % 5), baseline_score=0.17, origins_used=6
    )
    return {"forecast_accuracy": scored, "deal_accuracy": deals, "method_choice": choice, "call_record": _calls(), "reliability": _bins(method)}


def _bins(method: str) -> pd.DataFrame:
    bins = _product(method=["base_rate", method], horizon=["month_1", "month_2", "month_3", "ever", "which"], bin=list(range(1, 11)))
    predicted = bins["bin"] / 14
    return bins.assign(deals=184, predicted=predicted, observed=predicted * 1.05, observed_low=predicted * 0.9, observed_high=predicted * 1.2)


def _calls() -> pd.DataFrame:
    callers = _product(segment=[("all", "all"), ("owner", "u-101")], category=["commit", "best case"])
    return _spread(callers, segment=("dimension", "member")).assign(
        period_kind="month", n=9, mean_error_share=0.31, bias_share=0.27, bias_low=0.12, bias_high=0.42, n_compared=8, inside_model=3, helped=2,
        helped_low=0.07, helped_high=0.59, model_error_share=0.11, call_error_share=0.3,
        verdict=np.where(callers["category"] == "commit", "happy_ears", "neither"),
    )  # fmt: skip


def _funnel(rng: np.random.Generator, members: tuple) -> dict[str, pd.DataFrame]:
    periods = [("month", pd.Timestamp(2025, m, 1)) for m in (9, 10, 11)] + [("quarter", pd.Timestamp(2025, m, 1)) for m in (7, 10)]
    pairs = {"period": ("period_kind", "period_start"), "segment": ("dimension", "member")}
    per_period = _spread(_product(period=periods, segment=list(members)), **pairs)
    keys = _spread(_product(period=periods, segment=list(members), stage=[s[0] for s in STAGES]), **pairs)
    keys["is_partial"] = keys["period_start"].isin([pd.Timestamp(2025, 11, 1), pd.Timestamp(2025, 10, 1)]) & ~(
        (keys["period_kind"] == "month") & (keys["period_start"] == pd.Timestamp(2025, 10, 1))
    )
    per_period = per_period.merge(keys[["period_kind", "period_start", "is_partial"]].drop_duplicates(), on=["period_kind", "period_start"], validate="m:1")
    n = len(keys)
    size = np.where(keys["dimension"] == "all", 1.0, 0.25)
    position = keys["stage"].map({s[0]: i for i, s in enumerate(STAGES)})
    entered = (rng.integers(60, 90, n) * size / (1 + position)).astype(int)
    advanced, lost = (entered * 0.5).astype(int), (entered * 0.3).astype(int)
    rate = advanced / np.maximum(entered, 1)
    half = 1.0 / np.sqrt(np.maximum(entered, 1))
    benchmark = keys["stage"].map({s[0]: s[2] for s in STAGES})
    conversion = keys.assign(
        entered=entered,
        advanced=advanced,
        won=advanced // 3,
        lost=lost,
        still_open=entered - advanced - lost,
        conversion_observed=rate,
        conversion_filled=np.minimum(rate + 0.03, 1),
        conversion_eventual=pd.Series(np.minimum(rate + 0.1, 1)).where(entered >= 10),
        eventual_low=pd.Series(rate).where(entered >= 10),
        eventual_high=pd.Series(np.minimum(rate + 0.2, 1)).where(entered >= 10),
        extrapolated_share=0.2,
        ci_low=np.maximum(rate - half, 0),
        ci_high=np.minimum(rate + half, 1),
        benchmark=benchmark,
        observed_share=1.0,
        rebuilt_share=0.0,
    )
    days = keys["stage"].map({s[0]: s[3] for s in STAGES}) * rng.uniform(0.8, 1.5, n)
    dwell = keys.assign(
        visits=entered + 2,
        completed=advanced + lost,
        mean_days=days,
        median_days=days * 0.8,
        p75_days=days * 1.3,
        p90_days=days * 2,
        min_days=0.5,
        max_days=days * 4,
        km_median_days=(days * 0.95).where(entered >= 10),
        mean_working_days=days * 0.7,
        mean_transition_lag_days=np.nan,
        overtime=entered // 8,
        overtime_share=0.125,
        reference_days=days,
        benchmark_days=keys["stage"].map({s[0]: s[3] for s in STAGES}),
        observed_share=1.0,
        rebuilt_share=0.0,
    )
    opening = entered + 20
    flow = keys.assign(
        opening=opening,
        entered_new=np.where(position == 0, entered, 0),
        entered_advanced=np.where(position == 0, 0, entered),
        entered_regressed=1,
        entered_reopened=0,
        advanced=advanced,
        regressed=1,
        won=np.where(position == 3, advanced, 0),
        lost=lost,
        closing=opening + entered - advanced - lost - np.where(position == 3, advanced, 0),
        closing_paused=pd.array(np.where(position == 1, 2, 0), dtype="Int64"),
        closing_amount=opening * 280_000.0,
        template_conversion=rate,
    )
    m = len(per_period)
    wins = per_period.assign(
        created=rng.integers(40, 80, m),
        won=rng.integers(5, 20, m),
        lost=rng.integers(20, 45, m),
        open=150,
        win_rate_count=0.31,
        win_rate_low=0.2,
        win_rate_high=0.45,
        win_rate_value=0.28,
        win_rate_created=0.12,
        won_amount=5.6e6,
        mean_amount=3.1e5,
        cycle_mean_days=84.0,
        cycle_median_days=95.0,
        velocity=172_000.0,
    )
    return {"stage_conversion": conversion, "stage_dwell": dwell, "funnel_flow": flow, "win_rates": wins}


def _deals(rng: np.random.Generator, count: int, method: str) -> dict[str, pd.DataFrame]:
    amount = np.round(rng.lognormal(12.6, 0.8, count), 2)
    p_won = rng.beta(2, 4, count)
    close = pd.Timestamp(AS_OF) + pd.to_timedelta(rng.integers(5, 90, count), unit="D")
    stage = rng.choice([s[0] for s in STAGES], count)
    reasons = [
        json.dumps(
            [
                {"code": "stage", "log_odds": round(a, 2), "value": s},
                {"code": "age_in_stage", "log_odds": round(b, 2), "days": d},
                {"code": "group", "log_odds": round(c, 2)},
            ]
        )
        for a, b, c, s, d in zip(
            rng.normal(0.3, 0.7, count),
            rng.normal(-0.2, 0.4, count),
            rng.normal(0, 0.3, count),
            stage,
            rng.integers(1, 60, count).tolist(),
            strict=True,
        )
    ]
    deals = pd.DataFrame(
        {
            "opportunity_id": [f"OP-{n:05d}" for n in range(count)],
            "stage": stage,
            "owner_id": rng.choice(["u-101", "u-102", None], count),
            "amount": amount,
            "amount_if_won": amount * 0.93,
            "p_won": p_won,
            "p_won_30d": p_won * 0.4,
            "p_won_60d": p_won * 0.7,
            "p_won_90d": p_won * 0.9,
            "expected_close_date": close,
            "close_date_p10": close - pd.Timedelta(days=4),
            "close_date_p90": close + pd.Timedelta(days=40),
            "expected_amount": p_won * amount * 0.93,
            "reasons": reasons,
            "model": method,
        }
    )
    months = [("month", pd.Timestamp(2025, 11, 1) + pd.DateOffset(months=m)) for m in range(4)] + [
        ("quarter", pd.Timestamp(2025, 10, 1)),
        ("quarter", pd.Timestamp(2026, 1, 1)),
    ]
    timing = _spread(_product(opportunity_id=deals["opportunity_id"].tolist(), period=months), period=("period_kind", "period_start"))
    chance = timing["opportunity_id"].map(deals.set_index("opportunity_id")["p_won"]) * 0.3
    timing = timing.assign(p_won_in_period=chance, p_won_by_end=chance, p_lost_by_end=0.2)
    risky = deals.head(count // 4)
    risks = pd.concat(
        [
            risky.assign(
                signal="stage_overtime",
                evidence="63 days in stage, 2.9 × the average of 21.7 (n=140)",
                suggested_action="executive visit; touches from one to two a week",
            ),
            risky.head(count // 8).assign(signal="zombie", evidence="expected close 41 days past", suggested_action="close it or restart it"),
        ],
        ignore_index=True,
    )
    return {"win_probability": deals, "win_timing": timing, "risk_list": risks}


def _runs(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    lines = np.arange(2, 28)
    rejected = pd.DataFrame(
        {
            "export": "opportunities.csv",
            "line": lines,
            "table_name": "opportunities",
            "opportunity_id": None,
            "reasons": json.dumps(
                [
                    {"code": "closed_before_created", "expected": "closing is not before creation"},
                    {"code": "missing_stage", "expected": "stage has a value"},
                ]
            ),
            "owner_id": "u-101",
            "amount": np.where(lines % 3, rng.lognormal(12, 1, len(lines)), np.nan),
            "first_seen": pd.Timestamp(AS_OF),
            "fix_by": pd.Timestamp(2025, 11, 21, 18),
        }
    )
    found = pd.DataFrame(
        [
            ("opportunities", "closed_before_created", "reject", 2140, 26, 1.2e6, 3, 4.1e5, "closing is not before creation"),
            ("opportunities", "won_without_amount", "warning", 640, 4, 0.0, 4, 0.0, "a won opportunity has an amount"),
            ("stage_history", "parent_rejected", "reject", 9800, 71, 1.2e6, 0, 4.1e5, "the opportunity's own row is accepted"),
            ("stage_history", "exited_before_entered", "reject", 9800, 0, 0.0, 0, 0.0, "exit is not before entry"),
        ],
        columns=[
            "table_name",
            "expectation",
            "severity",
            "checked",
            "failed",
            "amount_touched",
            "amount_unknown",
            "forecast_touched",
            "meaning",
        ],
    )
    log = pd.DataFrame(
        [
            {
                "run_id": "3f1c9a52",
                "started_at": pd.Timestamp(2025, 11, 21, 0, 30),
                "finished_at": pd.Timestamp(2025, 11, 21, 0, 34),
                "rows_read": 12011,
                "rows_accepted": 11650,
                "rows_superseded": 264,
                "rows_rejected": 97,
                "skipped": json.dumps([{"what": "follow-up cadence and days without activity", "why": "no activities export"}]),
                "versions": json.dumps({"leadline": "0.1.0", "python": "3.11.7", "duckdb": "2.0.0", "pandas": "3.1.1"}),
                "counts": "{}",
                "as_of_from": "newest date in the exports",
            }
        ]
    )
    return {"rejected_rows": rejected, "data_quality": found, "run_log": log}
