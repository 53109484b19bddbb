"""Which form an answer must have: a JSON schema or a grammar, required and then checked.

What a service enforces is not believed: every answer is checked here again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Never

from genept.language_models.grammars import Grammar, GrammarError

NAME = "answer"


class FormatError(ValueError):
    """A schema or grammar that cannot be used."""


@dataclass(frozen=True)
class AnswerFormat:
    """The form of an answer; free text if neither is given.

    Parameters
    ----------
    schema
        A JSON schema (draft 2020-12) as canonical JSON; see `of_schema`.
    grammar
        A grammar in GBNF, the notation of llama.cpp.
    """

    schema: str | None = None
    grammar: str | None = None

    def __post_init__(self) -> None:
        if self.schema and self.grammar:
            raise FormatError("an answer has a JSON schema or a grammar, not both")
        self._validator, self._grammar  # noqa: B018 - refuses what cannot be used

    @classmethod
    def of_schema(cls, schema: dict[str, Any]) -> AnswerFormat:
        """The form that a JSON schema describes. Raises `FormatError` if it is none."""
        return cls(schema=json.dumps(schema, sort_keys=True, separators=(",", ":")))

    def parse(self, text: str) -> Any:
        """JSON values of an answer. Raises `ValueError` if it is not JSON, which knows no NaN."""

        def refuse(constant: str) -> Never:
            raise ValueError(f"{constant} is not JSON")

        return json.loads(text, parse_constant=refuse)

    def fault(self, text: str) -> str | None:
        """What is wrong with an answer, in words; None if nothing is."""
        if self._grammar is not None:
            try:
                return None if self._grammar.matches(text) else "does not follow the grammar"
            except (GrammarError, RecursionError) as error:
                return f"cannot be checked against the grammar: {error}"
        if self._validator is None:
            return None if text.strip() else "is empty"
        try:
            value = self.parse(text)
        except (ValueError, RecursionError) as error:
            return f"is not JSON: {error}"
        breach = next(self._validator.iter_errors(value), None)
        if breach is None:
            return None
        return f"breaks the schema at {breach.json_path}: {breach.message[:200]}"

    def requested(self) -> dict[str, Any]:
        """What a request says of it, beyond OpenAI's protocol for a grammar."""
        if self.grammar:
            return {"grammar": self.grammar}
        if self.schema is None:
            return {}
        schema = {"name": NAME, "strict": True, "schema": json.loads(self.schema)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    @cached_property
    def _validator(self) -> Any:
        if self.schema is None:
            return None
        from jsonschema import Draft202012Validator, SchemaError
        from referencing import Registry

        try:
            schema = json.loads(self.schema)
            Draft202012Validator.check_schema(schema)
            _require_own_references(schema)
        except (ValueError, SchemaError) as error:
            message = getattr(error, "message", error)
            raise FormatError(f"the JSON schema cannot be used: {message}") from None
        return Draft202012Validator(schema, registry=Registry())  # … which fetches none

    @cached_property
    def _grammar(self) -> Grammar | None:
        if self.grammar is None:
            return None
        try:
            return Grammar(self.grammar)
        except GrammarError as error:
            raise FormatError(f"the grammar cannot be used: {error}") from None


def _require_own_references(schema: Any) -> None:
    """Raise `ValueError` if a schema refers to another one, which a check would have to fetch."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
                raise ValueError(f"it refers to {value!r}: put that under $defs")
            _require_own_references(value)
    elif isinstance(schema, list):
        for value in schema:
            _require_own_references(value)
