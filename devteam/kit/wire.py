"""The shape of everything that leaves over HTTP or the socket: camelCase JSON, UTC times with a `Z`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from devteam.kit.clock import isoformat

UtcTime = Annotated[datetime, PlainSerializer(isoformat, return_type=str, when_used="json")]


class View(BaseModel):
    """Something that is shown; built by us, so never lenient."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", frozen=True
    )

    def wire(self) -> dict[str, Any]:
        """The JSON object as sent."""
        return self.model_dump(mode="json", by_alias=True)


class Input(BaseModel):
    """Something that a caller sent; unknown fields are refused rather than ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid")


class Reason(View):
    """Why something is as it is: a stable code and a sentence."""

    code: str
    text: str

    @classmethod
    def of(cls, code: str | None, text: str | None) -> "Reason | None":
        """From two columns that are null together."""
        return None if code is None or text is None else cls(code=code, text=text)
