"""Writes the company as a CRM exports it, by a declaration of that CRM's forms.

What belongs here: what a declaration may say, and the writing that all CRMs share. What does not: any CRM's names
(crm_forms.py), and the reading of them (assets/exports/crm).
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipelines.demo.salesforce import with_unmoved_rows as unmoved_rows
from tests.round_trips.company import CLOSED, OPEN_STAGES, Company

ZONE = "Asia/Shanghai"

Frame = pd.DataFrame
Value = str | Callable[[Frame, "CrmForm"], pd.Series]
"""What a column of a file holds: a canonical column in the CRM's form, or what is made of the whole row."""


def utc(times: pd.Series) -> pd.Series:
    """Times as interfaces give them."""
    return times.dt.tz_localize(ZONE).dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def local(form: str) -> Callable[[pd.Series], pd.Series]:
    """Times as a person sees them."""
    return lambda times: times.dt.strftime(form)


iso_day = local("%Y-%m-%d")
"""Days as ISO 8601."""


def epoch_ms(times: pd.Series) -> pd.Series:
    """Milliseconds since 1970."""
    return (times.dt.tz_localize(ZONE).astype("int64") // 1000).astype("Int64").astype("str").where(times.notna())


def whole(amounts: pd.Series) -> pd.Series:
    """Amounts without decimals."""
    return amounts.astype("Int64").astype("str")


def in_wan(amounts: pd.Series) -> pd.Series:
    """Amounts in 万元, exactly."""
    return amounts.map(lambda yuan: f"{yuan // 10_000}.{yuan % 10_000:04d}".rstrip("0").rstrip("."))


@dataclass(frozen=True)
class File:
    """One file of an export: the rows of ``source``, which is a canonical table or ``log``, in columns by their headers.

    ``log`` is the history of all fields in one: rows of `stage_history` and `field_history` by time. ``rows`` chooses among them.
    """

    name: str
    source: str
    columns: Mapping[str, Value]
    rows: Callable[[Frame], Frame] = lambda frame: frame


@dataclass(frozen=True)
class CrmForm:
    """How one CRM writes the company.

    ``facts`` reduces the company to what the CRM's files can say, each reduction being named by its function;
    ``writes`` makes of that the rows that the CRM writes. ``stages`` are the words of the files, ``spelled`` those of the
    configuration where a file of ids leads to them; ``fields`` the CRM's names of the changed fields. ``marks`` says of a
    stage entry (its number, its kind) which history it must have, where not all are observed.
    """

    crm: str
    files: tuple[File, ...]
    exports: Mapping[str, object]
    stages: Mapping[str, str]
    spelled: Mapping[str, str] | None = None
    facts: tuple[Callable[[Company], Company], ...] = ()
    writes: tuple[Callable[[Company], Company], ...] = ()
    time: Callable[[pd.Series], pd.Series] = utc
    day: Callable[[pd.Series], pd.Series] = iso_day
    closing: Callable[[pd.Series], pd.Series] | None = None
    amount: Callable[[pd.Series], pd.Series] = whole
    logged_amount: Callable[[pd.Series], pd.Series] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, str] = ("true", "false")
    marks: Callable[[int, str], str] | None = None
    encoding: str = "utf-8"
    lookups: Mapping[str, str] = field(default_factory=dict)

    def known(self, company: Company) -> Company:
        """What the CRM's files can say of the company."""
        for fact in self.facts:
            company = fact(company)
        return company

    def written(self, company: Company) -> Company:
        """The rows that the CRM writes of ``known`` facts."""
        for write in self.writes:
            company = write(company)
        return company

    def text(self, name: str, values: pd.Series) -> pd.Series:
        """A canonical column in the CRM's form, blank where there is no value."""
        if name in ("stage", "previous_stage"):
            text = values.map(self.stages)
        elif name == "field":
            text = values.map({**self.fields, "stage": self.fields.get("stage", "stage")})
        elif name == "closed_at":
            text = (self.closing or self.day)(values)
        elif name in ("created_at", "updated_at", "stage_entered_at", "entered_at", "changed_at", "happened_at"):
            text = self.time(values)
        elif name == "expected_close_date":
            text = self.day(values)
        elif name == "amount":
            text = self.amount(values)
        elif name in ("is_closed", "is_won"):
            text = values.map({True: self.flags[0], False: self.flags[1]})
        else:
            text = values
        return text.where(values.notna()).astype("str").where(values.notna(), "")

    def tables(self, company: Company) -> dict[str, Frame]:
        """The text of every file, by name; the index is that of the rows, the column ``_table`` says whose."""
        sources = {name: frame.assign(_table=name) for name, frame in company.frames.items()}
        sources["log"] = self._log(company)
        tables = {}
        for file in self.files:
            rows = file.rows(sources[file.source])
            columns = {h: self.text(v, rows[v]) if isinstance(v, str) else v(rows, self) for h, v in file.columns.items()}
            tables[file.name] = pd.DataFrame({**columns, "_table": rows["_table"]}, index=rows.index)
        return tables

    def _log(self, company: Company) -> Frame:
        """Changes of all fields, the stage among them, as one log; values in the CRM's form."""
        stages, others = company.frames["stage_history"], company.frames["field_history"]
        of_stages = pd.DataFrame(
            {
                "opportunity_id": stages["opportunity_id"],
                "field": "stage",
                "old_value": self.text("stage", stages["previous_stage"]),
                "new_value": self.text("stage", stages["stage"]),
                "changed_at": stages["entered_at"],
                "_table": "stage_history",
            }
        )
        values = {}
        for column in ("old_value", "new_value"):
            amounts, days = others["field"] == "amount", others["field"] == "expected_close_date"
            money = (self.logged_amount or self.amount)(pd.to_numeric(others[column].where(amounts, "0"), errors="coerce").astype("Int64").fillna(0))
            values[column] = others[column].mask(amounts, money).mask(days, self.day(pd.to_datetime(others[column].where(days), errors="coerce")))
            values[column] = values[column].where(others[column].fillna("") != "", "")
        log = pd.concat([of_stages, others.assign(**values, _table="field_history")])
        return log.sort_values(["opportunity_id", "changed_at"], kind="stable")

    def write(self, company: Company, folder: Path) -> dict[str, Frame]:
        """Write all files below ``folder`` and return their text."""
        folder.mkdir(parents=True, exist_ok=True)
        tables = self.tables(self.written(company))
        for name, table in tables.items():
            write_csv(folder / name, table, self.encoding)
        for name, content in self.lookups.items():
            (folder / name).write_text(content, encoding=self.encoding)
        return tables


def write_csv(path: Path, table: Frame, encoding: str = "utf-8") -> None:
    """A text table as CSV, all quoted."""
    table.drop(columns="_table").to_csv(path, index=False, quoting=csv.QUOTE_ALL, lineterminator="\n", encoding=encoding)


def lines(table: Frame) -> pd.Series:
    """The line at which each row of a CSV begins."""
    breaks = sum(table[c].str.count("\n") for c in table.columns.drop("_table"))
    return (1 + breaks).cumsum().shift(fill_value=0) + 2


# ---- what rows hold besides canonical columns ----------------------------------------------------------------------


def said(text: str) -> Value:
    """The same text in every row."""
    return lambda rows, form: pd.Series(text, index=rows.index)


def outcome(won: str, lost: str, still_open: str) -> Value:
    """The outcome beside the stage."""
    return lambda rows, form: pd.Series(still_open, index=rows.index).mask(rows["is_closed"], lost).mask(rows["is_won"], won)


def of(column: str, values: Mapping[str, str]) -> Value:
    """The CRM's words of a column; other values stay."""
    return lambda rows, form: rows[column].map(lambda value: values.get(value, value), na_action="ignore").astype("str").where(rows[column].notna(), "")


def percent(rows: Frame, form: CrmForm) -> pd.Series:
    """The CRM's probability in per cent."""
    return rows["crm_probability"].astype("Int64").astype("str")


def where(column: str, condition: Callable[[Frame], pd.Series]) -> Value:
    """A canonical column where the condition holds, else blank."""
    return lambda rows, form: form.text(column, rows[column]).where(condition(rows), "")


# ---- what files cannot say -----------------------------------------------------------------------------------------


def closed_once(company: Company) -> Company:
    """Won and lost stand in the row alone: earlier closings of a deal that came back leave no trace."""
    history = company.frames["stage_history"]
    is_last = history.groupby("opportunity_id").cumcount(ascending=False) == 0
    kept = history[~history["stage"].isin(CLOSED) | is_last]
    before = kept.groupby("opportunity_id")["stage"].shift()
    return company.with_frames(stage_history=kept.assign(previous_stage=before)[kept["stage"] != before])


def back_one_stage_earlier(company: Company) -> Company:
    """A deal that comes back does so in the stage before the one in which it was closed, where there is one."""
    history = company.frames["stage_history"]
    is_return = history.groupby("opportunity_id")["stage"].shift().isin(CLOSED)
    earlier = history["stage"].map(dict(zip(OPEN_STAGES[1:], OPEN_STAGES))).fillna(history["stage"])
    moved = history.assign(stage=history["stage"].mask(is_return, earlier))
    before = moved.groupby("opportunity_id")["stage"].shift()
    return company.with_frames(stage_history=moved.assign(previous_stage=before)[moved["stage"] != before])


def returns_are_moves(company: Company) -> Company:
    """Every closing is told, and a return by the move to another stage alone: a deal that comes back where it was closes once."""
    history = company.frames["stage_history"]
    deal = history.groupby("opportunity_id")["stage"]
    unseen = history["stage"].isin(CLOSED) & deal.shift().eq(deal.shift(-1))
    is_unseen = history["opportunity_id"].isin(history.loc[unseen, "opportunity_id"])
    once = closed_once(company.with_frames(stage_history=history[is_unseen])).frames["stage_history"]
    told = history[~is_unseen]
    left = told["stage"].where(~told["stage"].isin(CLOSED)).groupby(told["opportunity_id"])
    before = left.transform(lambda stages: stages.ffill().shift())
    return company.with_frames(stage_history=pd.concat([told.assign(previous_stage=before), once]).sort_index())


def closed_at_the_instant(company: Company) -> Company:
    """The row dates the closing to the minute."""
    return company.with_frames(opportunities=company.frames["opportunities"].assign(closed_at=_closing(company)))


def closed_on_a_day(company: Company) -> Company:
    """The closing is dated by the day alone, and so not before the last stage of that day was entered; it tells no values."""
    history = company.frames["stage_history"]
    moved = history.groupby("opportunity_id")["entered_at"].shift()
    on_day = history["entered_at"].dt.normalize()
    is_closing = history["stage"].isin(CLOSED)
    values = {name: history[name].mask(is_closing) for name in ("amount", "expected_close_date", "owner_id")}
    entered = history["entered_at"].mask(is_closing, on_day.where(on_day > moved, moved))
    return company.with_frames(stage_history=history.assign(**values, entered_at=entered))


def in_the_last_open_stage(company: Company) -> Company:
    """Won and lost are no stages: a closed deal keeps its last open one."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    last = history[~history["stage"].isin(CLOSED)].drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")["stage"]
    return company.with_frames(opportunities=deals.assign(stage=deals["opportunity_id"].map(last)))


def entry_of_the_stage(company: Company) -> Company:
    """The row dates the entry of its stage."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    pairs = history.drop_duplicates(["opportunity_id", "stage"], keep="last").set_index(["opportunity_id", "stage"])["entered_at"]
    entered = pairs.reindex(pd.MultiIndex.from_frame(deals[["opportunity_id", "stage"]])).set_axis(deals.index)
    return company.with_frames(opportunities=deals.assign(stage_entered_at=entered))


def last_entry_of_each_stage(company: Company) -> Company:
    """A column per stage holds its last entry alone; what the deal went back to before that is not told."""
    kept = company.frames["stage_history"].drop_duplicates(["opportunity_id", "stage"], keep="last")
    before = kept.groupby("opportunity_id")["stage"].shift()
    return company.with_frames(stage_history=kept.assign(previous_stage=before))


def changed_with_the_stage(company: Company) -> Company:
    """A row is as new as the last entry of a stage."""
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    last = history.groupby("opportunity_id")["entered_at"].max()
    return company.with_frames(opportunities=deals.assign(updated_at=deals["opportunity_id"].map(last)))


def amount_of_the_closing_before_it(company: Company) -> Company:
    """Of a deal whose amount changed at its closing alone only the new amount is told: it is taken to have held before."""
    history, changes = company.frames["stage_history"], company.frames["field_history"]
    amounts = changes[changes["field"] == "amount"]
    at_closing = _at_a_closing(history, amounts)
    once = set(amounts["opportunity_id"]) - set(amounts.loc[~at_closing, "opportunity_id"])
    last = history.groupby("opportunity_id")["amount"].transform("last")
    return company.with_frames(
        stage_history=history.assign(amount=history["amount"].mask(history["opportunity_id"].isin(once), last)),
        field_history=changes.drop(index=amounts.index[amounts["opportunity_id"].isin(once)]),
    )


def _at_a_closing(history: Frame, changes: Frame) -> pd.Series:
    closings = pd.MultiIndex.from_frame(history.loc[history["stage"].isin(CLOSED), ["opportunity_id", "entered_at"]])
    return pd.Series(pd.MultiIndex.from_frame(changes[["opportunity_id", "changed_at"]]).isin(closings), index=changes.index)


def _closing(company: Company) -> pd.Series:
    deals, history = company.frames["opportunities"], company.frames["stage_history"]
    closings = history[history["stage"].isin(CLOSED)].drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")["entered_at"]
    return deals["opportunity_id"].map(closings).where(deals["is_closed"])


# ---- what a CRM writes of it ---------------------------------------------------------------------------------------


def changes_alone(company: Company) -> Company:
    """A log of changes has no row of the creation."""
    history = company.frames["stage_history"]
    return company.with_frames(stage_history=history[history["previous_stage"].notna()])


def without_closings(company: Company) -> Company:
    """Closings are no changes of the stage."""
    history = company.frames["stage_history"]
    return company.with_frames(stage_history=history[~history["stage"].isin(CLOSED)])


def from_the_first_value(company: Company) -> Company:
    """A history of properties begins with the value at creation and names no old ones."""
    history, changes = company.frames["stage_history"], company.frames["field_history"]
    first = history.drop_duplicates("opportunity_id")
    values = {"amount": whole(first["amount"]), "expected_close_date": first["expected_close_date"].dt.strftime("%Y-%m-%d"), "owner_id": first["owner_id"]}
    begun = pd.concat(
        [
            pd.DataFrame({"opportunity_id": first["opportunity_id"], "field": name, "new_value": text, "changed_at": first["entered_at"]})
            for name, text in values.items()
        ]
    )
    begun.index = range(changes.index.max() + 1, changes.index.max() + 1 + len(begun))
    return company.with_frames(field_history=pd.concat([changes, begun]).assign(old_value=""))


def with_unmoved_rows(company: Company) -> Company:
    """A row also for every change of the close date that came without another stage."""
    history = unmoved_rows(company.frames["stage_history"], company.frames["field_history"])
    return company.with_frames(stage_history=history)


def discounts_at_closing_unlogged(company: Company) -> Company:
    """What an amount became at closing stands in the closing alone."""
    history, changes = company.frames["stage_history"], company.frames["field_history"]
    return company.with_frames(field_history=changes[~(_at_a_closing(history, changes) & (changes["field"] == "amount"))])
