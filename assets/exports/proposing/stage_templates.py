"""The stage templates that ship: lists of stages with what lets a deal in and out, what is done and what comes of it.

What belongs here: loading the templates (one YAML file each in templates/) and matching them with the stages of an export.
What does not: the stages of any company.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from assets.exports.headers import fold
from models.settings import Labels, Settings, Stage

_FOLDER = Path(__file__).parent / "templates"
_MATCHED = 0.6
_LEAST_MATCHED = 3


class WonOf(Settings):
    """What a template calls a deal that is won."""

    labels: Labels


class StageTemplate(Settings):
    """A list of stages to begin with; the spellings of a stage are names by which exports know it."""

    labels: Labels
    stages: tuple[Stage, ...]
    won: WonOf

    def stage_of(self, spelling: str) -> Stage | None:
        """The stage that an export's spelling is a name of."""
        return next((s for s in self.stages if fold(spelling) in {fold(name) for name in (s.key, *s.spellings, s.names.en, s.names.zh)}), None)


@cache
def stage_templates() -> Mapping[str, StageTemplate]:
    """Every template by name, in the order of their names."""
    yaml = YAML(typ="safe", pure=True)
    return {path.stem: StageTemplate.model_validate(yaml.load(path.read_text(encoding="utf-8"))) for path in sorted(_FOLDER.glob("*.yaml"))}


def matching_template(spellings: Iterable[str]) -> str | None:
    """The template that knows most of the stages by name, if it knows three and most of them; of equal ones the shortest."""
    spellings = list(spellings)
    found = {name: sum(t.stage_of(s) is not None for s in spellings) for name, t in stage_templates().items()}
    known = [name for name, count in found.items() if count >= _LEAST_MATCHED and count >= _MATCHED * len(spellings)]
    return min(known, key=lambda name: (-found[name], len(stage_templates()[name].stages), name), default=None)
