"""Small exports as a person would give them, opened, for the tests of what is proposed for them."""

from pathlib import Path

from assets.exports.crm import CRMS
from assets.exports.files import find_files
from assets.exports.proposing.assigning import Assignment, assign
from assets.exports.proposing.recognise import choose_crm, crm_evidence
from assets.exports.proposing.sheets import Sheet, open_sheets
from assets.exports.settings import TableSource
from tests.exports_written import write


def sheets(folder: Path, files: dict[str, str | bytes]) -> list[Sheet]:
    """The sheets of ``files``, written into ``folder``, in the order of their names."""
    write(folder, files)
    found = find_files(folder, TableSource(files=tuple(files)), "given")
    return [sheet for file in found for sheet in open_sheets(file)]


def assigned(opened: list[Sheet]) -> tuple[str, Assignment]:
    """The CRM that is chosen for the files, and what every file is."""
    crm = choose_crm(crm_evidence(opened, CRMS), CRMS)
    return crm, assign(opened, CRMS[crm], CRMS)
