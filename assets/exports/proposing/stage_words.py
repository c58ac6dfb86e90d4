"""Names of stages that tell their place in a funnel, for companies without a history; and keys and labels for any stage.

What belongs here: common names in English and Chinese with their rank. What does not: whole lists of stages
(stage_templates.py).
"""

import re
from collections.abc import Iterable, Sequence

from assets.exports.proposing.stage_templates import StageTemplate
from models.settings import Labels

_RANKED: tuple[tuple[int, str, str, str, str], ...] = (
    (10, "lead", "lead", "线索", r"\blead\b|\bnew\b|线索"),
    (12, "potential", "potential", "潜在客户", r"\bprospect(ing)?\b|\bpotential\b|潜在"),
    (14, "discovery", "discovery", "发现", r"^发现|商机发现"),
    (16, "approved", "approved", "立项", r"立项"),
    (20, "first_contact", "first contact", "初步沟通", r"\bcontact(ed)?\b|\bappointment\b|\benquiry\b|\binquiry\b|初步|首次|咨询|接触"),
    (24, "engaging", "engaging", "接洽中", r"\bengag(ed|ing)\b|接洽"),
    (30, "qualification", "qualification", "资格确认", r"\bqualif(ied|ication)\b|\bsql\b|资格|验证客户"),
    (40, "need_confirmed", "need confirmed", "需求确认", r"\bneeds?\b|\bdiscovery\b|\banalysis\b|\brequirements?\b|需求"),
    (46, "value_proposition", "value proposition", "价值主张", r"\bvalue\b|价值"),
    (48, "decision_makers", "decision makers", "确定决策人", r"\bdecision\b|决策"),
    (50, "perception", "perception analysis", "认知分析", r"\bperception\b"),
    (54, "demo", "demo", "演示", r"\bdemo(nstration)?\b|\bpresentation\b|演示|技术交流|体验"),
    (56, "trial", "trial", "试用", r"\btrial\b|\bpilot\b|\bpoc\b|试用|技术评估"),
    (60, "proposal", "proposal", "方案", r"\bproposal\b|\bquot(e|ed|ation)\b|\bsolution\b|方案|报价|投标"),
    (70, "negotiation", "negotiation", "谈判", r"\bnegotiat\w*\b|\breview\b|谈判|商务|澄清"),
    (80, "signing", "signing", "签约", r"\bcontract\b|\bsign(ing|ature)\b|\blegal\b|\bverbal\b|\bcommit\w*\b|签约|合同|报名|下单"),
    (90, "delivery", "delivery", "交付", r"\bdelivery\b|\binstall\w*\b|交付|履约|验收"),
)
_RESERVED = ("won", "lost")
_LONGEST_KEY = 40


def ranked(stages: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """The stages by what their names tell, unknown ones last as they came, and how many names tell a place."""
    stages = list(stages)
    ranks = {stage: _rank(stage) for stage in stages}
    ordered = sorted(stages, key=lambda stage: (ranks[stage] is None, ranks[stage] or 0, _first_known(stage), stages.index(stage)))
    return tuple(ordered), sum(rank is not None for rank in ranks.values())


def keys_and_labels(stages: Sequence[str], template: StageTemplate | None = None) -> list[tuple[str, Labels]]:
    """A key of its own and labels in both languages for every stage: those of the template's stage of that name, or of a common one.

    What has no known name in the other language keeps its own spelling there.
    """
    found: list[tuple[str, Labels]] = []
    for number, stage in enumerate(stages, start=1):
        of_template = template.stage_of(stage) if template else None
        named = (of_template.key, of_template.names.en, of_template.names.zh) if of_template else _named(stage)
        slug = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", stage.lower())).strip("_") if stage.isascii() else ""
        is_name = bool(re.match(r"^[a-z][a-z0-9_]*$", slug)) and len(slug) <= _LONGEST_KEY and not re.search(r"\d{5,}", slug)
        key = slug if is_name else named[0] if named else f"stage_{number}"
        key = key if key not in {k for k, _ in found} | {*_RESERVED} else f"{key}_{number}"
        en = stage if stage.isascii() or not named else named[1]
        zh = stage if not stage.isascii() or not named else named[2]
        found.append((key, Labels(en=en, zh=zh)))
    return found


def _named(stage: str) -> tuple[str, str, str] | None:
    """Key and names of the common stage that is called exactly so."""
    words = re.sub(r"[_\W]+", " ", stage.lower()).strip()
    return next(((key, en, zh) for _, key, en, zh, pattern in _RANKED if words in (en, zh) or re.fullmatch(pattern, words)), None)


def _rank(stage: str) -> int | None:
    """The place in a funnel that the name tells of; the latest where it tells of several."""
    words = re.sub(r"[_\W]+", " ", stage.lower())
    return max((rank for rank, _, _, _, pattern in _RANKED if re.search(pattern, words)), default=None)


def _first_known(stage: str) -> int:
    words = re.sub(r"[_\W]+", " ", stage.lower())
    return min((rank for rank, _, _, _, pattern in _RANKED if re.search(pattern, words)), default=0)
