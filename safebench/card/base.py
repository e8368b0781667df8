"""What every section of a card is built from: frozen models, and absence with a reason."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

from safebench.errors import CardError

T = TypeVar("T")

Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
TaskName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
"""A task has the name that lm-eval knows it by."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
IsoDate = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Proportion = Annotated[float, Field(ge=0.0, le=1.0)]
Difference = Annotated[float, Field(ge=-1.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
AboveZero = Annotated[float, Field(gt=0.0)]


def _whole(value: Any) -> Any:
    """Return 2 for 2.0, as JSON Schema counts 2.0 as an integer: the digest sees one number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Whole = BeforeValidator(_whole)
Count = Annotated[int, Field(ge=0), _Whole]
Positive = Annotated[int, Field(ge=1), _Whole]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), _Whole]


class _SectionMeta(type(BaseModel)):  # type: ignore[misc]
    """Lets a field be called `construct`, the literature's word for it.

    pydantic warns that such a field hides a deprecated method, which nothing here calls.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message='Field name "construct" in', category=UserWarning
            )
            return super().__new__(cls, *args, **kwargs)


if TYPE_CHECKING:  # a type checker cannot follow a metaclass that is computed
    _Base = BaseModel
else:
    _Base = _SectionMeta("_Base", (BaseModel,), {"__module__": __name__})


class Section(_Base):
    """A mapping of the card: frozen, unknown fields forbidden, no coercion."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        defer_build=True,  # one schema for the whole card, made when a card is read
    )


class NotReported(Section):
    """A field whose value is not known, with the reason."""

    not_reported: Text
    """Why the value is absent, in a sentence."""


LEFT_OUT = "left out of the card"
"""Reason of an absence that nobody states: a default speaks for nobody else's work."""


def _alternative(value: Any) -> str:
    """Return which of a field's alternatives a value is: the key of a mapping says it."""
    if isinstance(value, NotReported):
        return "not_reported"
    if isinstance(value, Unpinnable):
        return "unpinnable"
    if isinstance(value, dict):
        return next((key for key in ("not_reported", "unpinnable") if key in value), "value")
    return "value"


def _absence(value: Any) -> str:
    return "not_reported" if _alternative(value) == "not_reported" else "value"


Reported = Annotated[
    Annotated[T, Tag("value")] | Annotated[NotReported, Tag("not_reported")],
    Discriminator(_absence),
]
"""A value, or `{not_reported: reason}`; never null."""


class Unpinnable(Section):
    """Something that no immutable revision names, such as the alias of an API's model."""

    unpinnable: Text
    """Why nothing immutable names it."""
    first_request: Reported[IsoDate] | None = None
    """Day of the first request, YYYY-MM-DD; filled by a run."""
    last_request: Reported[IsoDate] | None = None
    """Day of the last request, YYYY-MM-DD; filled by a run."""


Revision = Annotated[
    Annotated[Text, Tag("value")]
    | Annotated[Unpinnable, Tag("unpinnable")]
    | Annotated[NotReported, Tag("not_reported")],
    Discriminator(_alternative),
]
"""A revision, or why there is none that could not move."""


class _NoAbsence:
    """Says in the schema that a mapping with the key `not_reported` is an absence."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        return {**handler(core), "propertyNames": {"not": {"const": "not_reported"}}}


Texts = Annotated[dict[str, str], _NoAbsence()]
"""Free names with a text each."""
Settings = Annotated[dict[str, bool | int | float | str], _NoAbsence()]
"""Free names with a plain value each."""


class Interval(Section):
    """A 95 % confidence interval."""

    lower: float
    """Lower end."""
    upper: float
    """Upper end."""


def require(value: T | NotReported, pointer: str) -> T:
    """Return a value that work cannot go on without.

    Raises:
        CardError: the card says `not_reported`; the message quotes the reason.
    """
    if isinstance(value, NotReported):
        raise CardError(
            f"{pointer} is not_reported ({value.not_reported!r}), and this needs its value",
            fix=f"give {pointer} in the card",
        )
    return value
