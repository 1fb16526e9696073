"""What every entry of a policy file keeps to."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from redis_ttl.adapters.policy_files.leaves.leaf import mistake


class Entry(BaseModel):
    """A mapping that has these keys and no others, and can't be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _something(cls, value: object, info: ValidationInfo) -> object:
        """A key that may be left out still wants a value when it is there: an empty one is a slip, not a None."""
        if value is None and info.field_name and cls.model_fields[info.field_name].default is None:
            raise mistake(
                "nothing", "a value", "Leave the key out, or write something; a text that begins with # wants quotes"
            )
        return value
