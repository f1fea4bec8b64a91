"""The base of what the Studio's flows return and its routes send as it is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A model that does not change once it is made."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)
