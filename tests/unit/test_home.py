"""The home folder: one run at a time, files replaced whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import HomeBusyError, HomeError
from pipelines.home import Home, replace_file, staged_file

PROJECT = Path(__file__).parents[2]
HOLDER = """
import signal, sys
from pathlib import Path
from pipelines.home import Home
with Home(Path(sys.argv[1])).lock():
    print("held", flush=True)
    signal.pause()
"""


def test_a_second_run_is_refused_at_once_and_the_lock_goes_with_its_process(tmp_path):
    home = Home(tmp_path / "home")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(home.path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(HomeBusyError, match=rf"process {holder.pid}, started \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC") as caught,
            home.lock(),
        ):
            pass
        assert "what to do: wait until it ends" in str(caught.value)
        holder.send_signal(signal.SIGKILL)
    with home.lock():
        assert str(os.getpid()) in home.lock_file.read_text()


def test_a_run_after_another_may_begin(tmp_path):
    home = Home(tmp_path)
    for _ in range(2):
        with home.lock():
            assert home.lake.is_dir()
            assert home.spill.is_dir()


def test_a_file_in_the_place_of_the_home_folder_is_explained(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="a file stands where a folder should be"):
        Home(tmp_path / "home").prepare()


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    page = tmp_path / "report.html"
    replace_file(page, b"first")
    with staged_file(page) as staged:
        staged.write_text("second")
        assert page.read_text() == "first"
    assert page.read_text() == "second"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert page.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_a_file_stays_when_the_block_fails(tmp_path):
    page = tmp_path / "report.html"
    replace_file(page, b"first")
    with pytest.raises(ZeroDivisionError):
        _write_half(page)
    assert page.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def _write_half(page: Path) -> None:
    with staged_file(page) as staged:
        staged.write_text("half")
        raise ZeroDivisionError


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
