"""Makes the demonstration company's exports while the libraries of the run are loading.

What belongs here: the use of a second process for that. What does not: the exports (pipelines/demo) and the run.
"""

from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from pipelines.demo import Demo, write_demo
from quality.expectations import load_library


def written_while_loading(folder: Path, form: Literal["salesforce", "chinese"]) -> Demo:
    """`write_demo` in a process of its own; this one imports what the run needs meanwhile.

    Raises what `write_demo` raises.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as other:
        written = other.submit(write_demo, folder, form)
        import_module("pipelines.definitions")
        load_library()
        return written.result()
