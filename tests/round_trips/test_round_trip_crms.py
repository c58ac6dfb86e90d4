"""One company as each CRM exports it: read back, the core tables are those that were computed without any file.

What a CRM's files cannot say is taken from the company first, by the declaration's ``facts``.
"""

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.round_trips import chinese_forms, crm_forms, other_forms
from tests.round_trips.company import configuration, simulated
from tests.round_trips.stored import assert_same_contents, read_back, reference

FORMS = {
    "Salesforce": crm_forms.SALESFORCE,
    "Salesforce, field history alone": crm_forms.SALESFORCE_FIELD_HISTORY,
    "Salesforce, reports": crm_forms.SALESFORCE_REPORTS,
    "HubSpot": crm_forms.HUBSPOT,
    "HubSpot, dates of stages": crm_forms.HUBSPOT_DATES,
    "Dynamics 365": other_forms.DYNAMICS,
    "Pipedrive": other_forms.PIPEDRIVE,
    "Zoho CRM": other_forms.ZOHO,
    "Zoho CRM, moves": other_forms.ZOHO_MOVES,
    "Odoo": other_forms.ODOO,
    "fxiaoke": chinese_forms.FXIAOKE,
    "fxiaoke, interface": chinese_forms.FXIAOKE_INTERFACE,
    "xiaoshouyi": chinese_forms.XIAOSHOUYI,
    "wukong": chinese_forms.WUKONG,
    "sheets kept by hand": chinese_forms.SHEETS,
}

QUICK = {"HubSpot"}
"""The forms that the quick suite reads."""


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FORMS])
def test_every_crm_gives_the_same_core_tables_byte_for_byte(tmp_path, name):
    form = FORMS[name]
    known = form.known(simulated())
    form.write(known, tmp_path / "exports")
    tables, core = read_back(tmp_path / "exports", configuration(form.exports, form.spelled or form.stages), tmp_path)
    assert_same_contents(core, reference(known), marks=form.marks is None)
    if form.marks:
        entries = pq.read_table(core["stage_entries"]).to_pylist()
        assert [e["history"] for e in entries] == [form.marks(e["entry_number"], e["kind"]) for e in entries]
    rejected = {table: rows["_reasons"].filter(pc.equal(rows["_verdict"], "rejected")).to_pylist() for table, rows in tables.items()}
    assert rejected == {table: [] for table in tables}
