"""The CRMs whose exports are known. Each module beside this one, but for declaration.py, declares one as ``CRM``.

What belongs here: finding them by name. What does not: any CRM's headers.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from assets.exports.crm.declaration import Crm
from assets.exports.errors import SourceProblems, nearest

_DECLARED = [import_module(f"{__name__}.{module.name}").CRM for module in iter_modules(__path__) if module.name != "declaration"]

CRMS = MappingProxyType({crm.name: crm for crm in _DECLARED})
"""Every declared CRM by name."""


def crm_named(name: str) -> Crm:
    """The declaration of a CRM; SourceProblems where there is none of that name."""
    if name not in CRMS:
        raise SourceProblems(f"exports.crm: {name!r} is not a known CRM; expected one of {', '.join(sorted(CRMS))}{nearest([name], CRMS)}")
    return CRMS[name]
