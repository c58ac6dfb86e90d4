"""How Dynamics 365, Pipedrive, Zoho CRM and Odoo write the company, and what their files cannot say.

What belongs here: one declaration per form of export. What does not: what they share (crm_writing.py).
"""

import pandas as pd

from tests.round_trips.company import CLOSED, OPEN_STAGES, Company
from tests.round_trips.crm_forms import closings_are_derived_too, only_losses_are_derived_too, only_the_beginning_is_derived
from tests.round_trips.crm_writing import (
    CrmForm,
    File,
    Frame,
    Value,
    amount_of_the_closing_before_it,
    back_one_stage_earlier,
    changes_alone,
    closed_at_the_instant,
    closed_once,
    discounts_at_closing_unlogged,
    entry_of_the_stage,
    in_the_last_open_stage,
    local,
    outcome,
    percent,
    returns_are_moves,
    said,
    where,
    without_closings,
)

_LABELS = {key: key.replace("_", " ").capitalize() for key in (*OPEN_STAGES, *CLOSED)}
_IDS = {key: str(number) for number, key in enumerate(OPEN_STAGES, start=1)}


def _is(column: str, value: object):
    return lambda rows: rows[column].eq(value)


def _open_stages(frame: Frame) -> Frame:
    return frame[~frame["stage"].isin(CLOSED)]


def _closings(frame: Frame) -> Frame:
    return frame[frame["stage"].isin(CLOSED)]


def _log_without_closings(frame: Frame) -> Frame:
    return frame[(frame["field"] != "stage") | ~frame["new_value"].isin([_LABELS[key] for key in CLOSED])]


# ---- Dynamics 365 --------------------------------------------------------------------------------------------------


def _actual_value(rows: Frame, form: CrmForm) -> pd.Series:
    """The actual revenue: of a lost deal 0, of an open one nothing."""
    return form.text("amount", rows["amount"]).where(rows["is_won"], "0").where(rows["is_closed"], "")


def _actual_revenue(rows: Frame, form: CrmForm) -> pd.Series:
    """The revenue of a closing: of a loss 0."""
    return form.text("amount", rows["amount"]).where(rows["stage"] == "won", "0")


DYNAMICS = CrmForm(
    crm="dynamics",
    exports={
        "crm": "dynamics",
        "tables": {
            "opportunities": {"files": "opportunity.csv", "columns": {"product": "new_product"}},
            "stage_history": {"files": ["audit.csv", "opportunityclose.csv"]},
            "field_history": {"files": "audit.csv"},
            "activities": {"files": "activitypointer.csv"},
            "owners": {"files": "systemuser.csv"},
        },
    },
    files=(
        File(
            "opportunity.csv",
            "opportunities",
            {
                "opportunityid": "opportunity_id", "name": "name", "_parentaccountid_value": "account_id", "opportunitytypecodename": "opportunity_type",
                "stepname": "stage", "_ownerid_value": "owner_id", "actualvalue": _actual_value, "estimatedvalue": "amount", "isocurrencycode": "currency",
                "createdon": "created_at", "modifiedon": "updated_at", "estimatedclosedate": "expected_close_date", "actualclosedate": "closed_at",
                "statecode": outcome("1", "2", "0"),
                "statuscodename": lambda rows, form: rows["loss_reason"].fillna(outcome("Won", "", "In Progress")(rows, form)),
                "leadsourcecode": "source", "industrycodename": "industry", "address1_country": "region", "msdyn_forecastcategoryname": "forecast_category",
                "closeprobability": percent, "new_product": "product",
            },
        ),
        File(
            "audit.csv",
            "log",
            {"objectid": "opportunity_id", "createdon": "changed_at", "attributename": "field", "oldvalue": "old_value", "newvalue": "new_value"},
            rows=_log_without_closings,
        ),
        File(
            "opportunityclose.csv",
            "stage_history",
            {
                "activityid": lambda rows, form: "c-" + rows["opportunity_id"] + "-" + rows.groupby("opportunity_id").cumcount().astype("str"),
                "_opportunityid_value": "opportunity_id",
                "actualend": "entered_at",
                "actualrevenue": _actual_revenue,
                "opportunitystatecode": lambda rows, form: rows["stage"].map({"won": "1", "lost": "2"}),
            },
            rows=_closings,
        ),
        File(
            "activitypointer.csv",
            "activities",
            {
                "activityid": "activity_id", "activitytypecode": said("phonecall"), "statecode": said("1"), "_regardingobjectid_value": "opportunity_id",
                "regardingobjecttypecode": said("opportunity"), "actualend": "happened_at", "_ownerid_value": "owner_id",
            },
        ),
        File("systemuser.csv", "owners", {"systemuserid": "owner_id", "businessunitidname": "team"}),
    ),
    facts=(back_one_stage_earlier, returns_are_moves, amount_of_the_closing_before_it, in_the_last_open_stage),
    writes=(changes_alone, discounts_at_closing_unlogged),
    stages=_LABELS,
    fields={"amount": "estimatedvalue", "expected_close_date": "estimatedclosedate", "owner_id": "ownerid", "stage": "stepname"},
    marks=only_the_beginning_is_derived,
)  # fmt: skip
"""Every closing is a record of its own; a return to the stage in which the deal was closed is seen by nothing in these files."""

# ---- Pipedrive -----------------------------------------------------------------------------------------------------

PIPEDRIVE = CrmForm(
    crm="pipedrive",
    exports={
        "crm": "pipedrive",
        "tables": {
            "opportunities": {"files": "deals.csv", "columns": {name: f"custom_{name}" for name in ("industry", "product", "region", "forecast_category")}},
            "stage_history": {"files": "deal_flow.csv"},
            "field_history": {"files": "deal_flow.csv"},
            "activities": {"files": "activities.csv"},
            "owners": {"files": "users.csv"},
        },
        "lookups": {"stages": {"files": "stages.csv"}},
    },
    files=(
        File(
            "deals.csv",
            "opportunities",
            {
                "id": "opportunity_id", "title": "name", "org_id": "account_id", "pipeline_id": said("1"), "label": "opportunity_type", "user_id": "owner_id",
                "stage_id": "stage", "stage_change_time": where("stage_entered_at", lambda rows: rows["stage_entered_at"] != rows["created_at"]),
                "value": "amount", "currency": "currency", "add_time": "created_at", "update_time": "updated_at", "expected_close_date": "expected_close_date",
                "won_time": where("closed_at", _is("is_won", True)), "lost_time": where("closed_at", _is("is_won", False)),
                "status": outcome("won", "lost", "open"), "lost_reason": "loss_reason", "channel": "source", "probability": percent,
                **{f"custom_{name}": name for name in ("industry", "product", "region", "forecast_category")},
            },
        ),
        File(
            "deal_flow.csv",
            "log",
            {"item_id": "opportunity_id", "field_key": "field", "old_value": "old_value", "new_value": "new_value", "log_time": "changed_at"},
        ),
        File(
            "activities.csv",
            "activities",
            {
                "id": "activity_id", "deal_id": "opportunity_id", "type": said("call"), "marked_as_done_time": "happened_at", "done": said("1"),
                "user_id": "owner_id",
            },
        ),
        File("users.csv", "owners", {"id": "owner_id", "team": "team"}),
    ),
    facts=(closed_once, closed_at_the_instant, in_the_last_open_stage, entry_of_the_stage),
    writes=(changes_alone, without_closings),
    stages=_IDS,
    spelled=_LABELS,
    time=local("%Y-%m-%d %H:%M:%S"),
    closing=local("%Y-%m-%d %H:%M:%S"),
    fields={"amount": "value", "expected_close_date": "expected_close_date", "owner_id": "user_id", "stage": "stage_id"},
    lookups={"stages.csv": "id,name,pipeline_id\n" + "".join(f"{number},{_LABELS[key]},1\n" for key, number in _IDS.items())},
    marks=closings_are_derived_too,
)  # fmt: skip

# ---- Zoho CRM ------------------------------------------------------------------------------------------------------


def _with_offset(times: pd.Series) -> pd.Series:
    return times.dt.strftime("%Y-%m-%dT%H:%M:%S+08:00")


_ZOHO_BESIDE = (
    File(
        "Deals.csv",
        "opportunities",
        {
            "Record Id": "opportunity_id", "Deal Name": "name", "Account Name.id": "account_id", "Type": "opportunity_type", "Deal Owner Id": "owner_id",
            "Stage": "stage", "Amount": "amount", "Currency": "currency", "Created Time": "created_at", "Modified Time": "updated_at",
            "Closing Date": "expected_close_date", "Closed Time": "closed_at", "Reason For Loss": "loss_reason", "Lead Source": "source",
            "Industry": "industry", "Forecast Category": "forecast_category", "Probability (%)": percent, "Region": "region", "Product": "product",
        },
    ),
    File(
        "Deal_History.csv",
        "field_history",
        {
            "record.id": "opportunity_id", "field_history.api_name": "field", "field_history._value.old": "old_value",
            "field_history._value.new": "new_value", "audited_time": "changed_at",
        },
    ),
    File(
        "Calls.csv",
        "activities",
        {
            "Record Id": "activity_id", "Related To Id": "opportunity_id", "Related To Module": said("Deals"), "Call Start Time": "happened_at",
            "Owner Id": "owner_id", "Call Status": said("Completed"),
        },
    ),
    File("Users.csv", "owners", {"User Id": "owner_id", "Role": "team"}),
)  # fmt: skip


def _zoho(columns: dict[str, Value], rows=lambda frame: frame, **more) -> CrmForm:
    return CrmForm(
        crm="zoho",
        exports={
            "crm": "zoho",
            "tables": {
                "opportunities": {"files": "Deals.csv", "columns": {"region": "Region", "product": "Product"}},
                "stage_history": {"files": "Stage_History.csv"},
                "field_history": {"files": "Deal_History.csv"},
                "activities": {"files": "Calls.csv"},
                "owners": {"files": "Users.csv"},
            },
        },
        files=(*_ZOHO_BESIDE, File("Stage_History.csv", "stage_history", {"Deal Id": "opportunity_id", **columns}, rows=rows)),
        facts=(closed_at_the_instant,),
        stages=_LABELS,
        time=_with_offset,
        closing=_with_offset,
        fields={"amount": "Amount", "expected_close_date": "Closing_Date", "owner_id": "Owner"},
        **more,
    )


_ENTRY = {"Amount": "amount", "Closing Date": "expected_close_date", "Modified Time": "entered_at"}

ZOHO = _zoho({"Stage": "stage", **_ENTRY})


def _moves(frame: Frame) -> Frame:
    """A row per move out of a stage, and one of the present stage, which has not moved."""
    present = frame.drop_duplicates("opportunity_id", keep="last")
    present = present.assign(previous_stage=present["stage"], stage=None).set_axis(range(10**6, 10**6 + len(present)))
    return pd.concat([frame[frame["previous_stage"].notna()], present])


ZOHO_MOVES = _zoho({"Stage": "previous_stage", "Moved To": "stage", **_ENTRY}, rows=_moves, marks=only_the_beginning_is_derived)
"""The other form of its history: a row is a move out of its stage."""

# ---- Odoo ----------------------------------------------------------------------------------------------------------


def lost_in_the_last_open_stage(company: Company) -> Company:
    """Won is a stage; a lost deal was archived in the stage that it had."""
    deals, beside = company.frames["opportunities"], in_the_last_open_stage(company).frames["opportunities"]
    return company.with_frames(opportunities=deals.assign(stage=deals["stage"].mask(deals["stage"] == "lost", beside["stage"])))


def losses_unlogged(company: Company) -> Company:
    """A loss is no change of the stage."""
    history = company.frames["stage_history"]
    return company.with_frames(stage_history=history[history["stage"] != "lost"])


def _tracked(column: str, *fields: str) -> Value:
    """The values of a log's rows of ``fields``; others have theirs in another column."""
    return lambda rows, form: rows[column].where(rows["field"].isin(fields), "")


ODOO = CrmForm(
    crm="odoo",
    exports={
        "crm": "odoo",
        "tables": {
            "opportunities": {
                "files": "crm_lead.csv",
                "columns": {name: f"x_{name}" for name in ("industry", "product", "forecast_category")},
            },
            "stage_history": {"files": "mail_tracking_value.csv"},
            "field_history": {"files": "mail_tracking_value.csv"},
            "activities": {"files": "mail_message.csv"},
            "owners": {"files": "res_users.csv"},
        },
    },
    files=(
        File(
            "crm_lead.csv",
            "opportunities",
            {
                ".id": "opportunity_id", "type": said("opportunity"), "name": "name", "partner_id/.id": "account_id", "tag_ids": "opportunity_type",
                "user_id/.id": "owner_id", "stage_id": "stage", "date_last_stage_update": "stage_entered_at", "expected_revenue": "amount",
                "company_currency": "currency", "create_date": "created_at", "write_date": "updated_at", "date_deadline": "expected_close_date",
                "date_closed": "closed_at", "active": outcome("True", "False", "True"), "lost_reason_id": "loss_reason", "source_id": "source",
                "country_id": "region", "probability": percent, **{f"x_{name}": name for name in ("industry", "product", "forecast_category")},
            },
        ),
        File(
            "mail_tracking_value.csv",
            "log",
            {
                "res_id": "opportunity_id", "create_date": "changed_at", "field_id": "field",
                "old_value_char": _tracked("old_value", "stage", "owner_id"), "new_value_char": _tracked("new_value", "stage", "owner_id"),
                "old_value_float": _tracked("old_value", "amount"), "new_value_float": _tracked("new_value", "amount"),
                "old_value_datetime": _tracked("old_value", "expected_close_date"), "new_value_datetime": _tracked("new_value", "expected_close_date"),
            },
        ),
        File(
            "mail_message.csv",
            "activities",
            {
                "ID": "activity_id", "model": said("crm.lead"), "res_id": "opportunity_id", "message_type": said("email"), "date": "happened_at",
                "author_id": "owner_id",
            },
        ),
        File("res_users.csv", "owners", {"ID": "owner_id", "sale_team_id": "team"}),
    ),
    facts=(closed_once, closed_at_the_instant, lost_in_the_last_open_stage, entry_of_the_stage),
    writes=(changes_alone, losses_unlogged),
    stages=_LABELS,
    time=local("%Y-%m-%d %H:%M:%S"),
    closing=local("%Y-%m-%d %H:%M:%S"),
    logged_amount=lambda amounts: amounts.map("{:.1f}".format),
    fields={"amount": "expected_revenue", "expected_close_date": "date_deadline", "owner_id": "user_id", "stage": "stage_id"},
    marks=only_losses_are_derived_too,
)  # fmt: skip
