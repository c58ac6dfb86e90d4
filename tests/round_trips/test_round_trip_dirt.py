"""Faults planted in known places are found in these places, with these codes, and nothing else is: in forms of files and of CRMs."""

import pytest

from assets.exports.settings import Configuration
from tests.crm_exports import judged_tables
from tests.round_trips import chinese_forms, crm_forms
from tests.round_trips.company import configuration
from tests.round_trips.dirty import Place, Said, found, write_crm, write_plain
from tests.round_trips.test_round_trip_files import FORMS

CRMS = {"Salesforce": crm_forms.SALESFORCE, "HubSpot": crm_forms.HUBSPOT, "xiaoshouyi": chinese_forms.XIAOSHOUYI}
FILES = ("comma", "CRLF", "workbook with instructions", "Parquet of types", "JSON lines")

QUICK = {"HubSpot"}
OF_ITSELF = frozenset({"not_updated_3d", "not_updated_7d", "several_owners"})
"""What is true of many deals of the company without any fault in its exports."""


def _written(name, folder) -> tuple[Configuration, dict[Place, Said]]:
    if name in FILES:
        exports, planted = write_plain(FORMS[name], folder)
        return configuration(exports), planted
    form = CRMS[name]
    tables = form.exports["tables"]
    exports = {**form.exports, "tables": {**tables, "opportunities": {**tables["opportunities"], "required": ["created_at"]}}}
    return configuration(exports, form.spelled or form.stages), write_crm(form, folder)


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in (*CRMS, *FILES)])
def test_planted_faults_are_found_in_their_places_and_none_more(tmp_path, name):
    settings, planted = _written(name, tmp_path / "exports")
    (tmp_path / "spill").mkdir()
    said = found(judged_tables(settings, tmp_path / "exports", tmp_path / "spill"), OF_ITSELF)
    assert {place: said.get(place) for place in planted} == planted
    assert sorted(said.keys() - planted.keys()) == []
    assert {row.verdict for row in planted.values()} == {"rejected", "superseded", "accepted", "value_set_aside"}
