"""Exports that use the canonical names of requirements.md section 1, or that the configuration maps by itself."""

from assets.exports.crm.declaration import Crm

CRM = Crm(name="plain")
