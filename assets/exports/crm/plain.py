"""Exports that use the canonical names (docs/data-dictionary.md), or that the configuration maps by itself."""

from assets.exports.crm.declaration import Crm

CRM = Crm(name="plain")
