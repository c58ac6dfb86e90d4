"""One file of an export as text, and how it is written.

What belongs here: the forms of files a CRM gives and the line on which a row stands. What does not: what is in them.
"""

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

XLSX = "xlsx"
_WRITTEN_AT = datetime(2026, 7, 1)
"""What a workbook says of its making: fixed, so that equal contents are equal files."""


@dataclass(frozen=True)
class Sheet:
    """One file: ``frame`` holds text under canonical column names, its index the labels of the rows.

    ``headers`` gives the header of each column in the order of the file; several canonical names may share one
    column, which stands under the name in ``shared``. ``encoding`` is that of a CSV, or `XLSX`; ``numbers`` are columns
    that a workbook holds as numbers.
    """

    table: str
    file: str
    frame: pd.DataFrame
    headers: dict[str, str]
    shared: dict[str, str]
    encoding: str = "utf-8"
    numbers: tuple[str, ...] = ()

    def column(self, canonical: str) -> str:
        """The column of ``frame`` that holds a canonical one."""
        return self.shared.get(canonical, canonical)

    def lines(self) -> pd.Series:
        """The physical line of the file at which each row begins, the header being line 1; in a workbook its row."""
        written = self.frame[list(self.headers)]
        if self.encoding == XLSX:
            return pd.Series(np.arange(len(written)) + 2, index=written.index)
        breaks = sum(written[column].str.count("\n") for column in written)
        return (1 + breaks).cumsum().shift(fill_value=0) + 2

    def write(self, folder: Path) -> Path:
        """Write the file below ``folder``; the same contents give the same bytes."""
        path = folder / self.file
        written = self.frame[list(self.headers)].rename(columns=self.headers)
        if self.encoding == XLSX:
            _write_workbook(path, written, {self.headers[name] for name in self.numbers})
        else:
            written.to_csv(path, index=False, quoting=csv.QUOTE_ALL, lineterminator="\n", encoding=self.encoding)
        return path


def _write_workbook(path: Path, frame: pd.DataFrame, numbers: set[str]) -> None:
    """Text goes in as text, so that nothing in it becomes a formula or a link."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}) as workbook:
        workbook.set_properties({"created": _WRITTEN_AT})
        sheet = workbook.add_worksheet()
        for position, name in enumerate(frame.columns):
            sheet.write_string(0, position, name)
            values = frame[name]
            if name in numbers:
                read = pd.to_numeric(values, errors="coerce")
                values = read.astype(object).where(read.notna(), values)
            sheet.write_column(1, position, values.tolist())
