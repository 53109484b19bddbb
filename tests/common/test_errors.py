"""What is said of a wrong declaration."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from genept.common.errors import problems_of


class Declared(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1

    @model_validator(mode="after")
    def _is_small(self) -> Declared:
        if self.size > 9:
            raise ValueError("give a `size` below 10")
        return self


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"size": 10}, "give a `size` below 10"),
        ({"seize": 1}, "seize: there is no such field"),
        (
            {"size": [], "seize": 1},
            "size: Input should be a valid integer; seize: there is no such field",
        ),
    ],
)
def test_mistakes_are_named_by_field_and_in_plain_words(fields: dict[str, object], problems: str):
    with pytest.raises(ValidationError) as caught:
        Declared.model_validate(fields)
    assert problems_of(caught.value) == problems
