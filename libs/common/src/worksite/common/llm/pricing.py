"""What calls cost: dated prices from a data file, exact to the provider's last decimal. Unknown price = refuse.

Prices are US dollars for a million tokens. Sources and dates stand in `prices.json` beside each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_CEILING, Decimal
from importlib import resources
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError
from worksite.common.errors import Permanent
from worksite.common.llm.errors import UnknownPrice
from worksite.common.llm.usage import Usage
from worksite.common.messages.base import Model

_MILLION = Decimal(1_000_000)
_MICRO = Decimal("0.000001")
_TIERS = {"standard": Decimal(1), "batch": Decimal("0.5")}
_TOLD = 4
_GEOS = {None: Decimal(1), "global": Decimal(1), "not_available": Decimal(1), "us": Decimal("1.1")}


class Rates(Model):
    """Of one model, for prompts of up to so many tokens."""

    up_to_prompt_tokens: int | None = Field(default=None, description="none: of any length")
    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    write_5m: Decimal = Field(ge=0)
    write_1h: Decimal = Field(ge=0)
    read: Decimal = Field(ge=0)


class PriceRow(Model):
    """One model's prices from a day on (the first that a source vouches for), until a later row of the same name."""

    model: str
    since: date
    source: str
    rates: tuple[Rates, ...] = Field(min_length=1, description="by length of the prompt, shortest first")
    context_tokens: int
    max_output_tokens: int = Field(ge=1, description="of one reply; no call asks for more")
    min_cacheable_tokens: int

    def for_prompt(self, tokens: int) -> Rates:
        """The whole request is charged by the length of its prompt."""
        return next(r for r in self.rates if r.up_to_prompt_tokens is None or tokens <= r.up_to_prompt_tokens)


_Rows = TypeAdapter(tuple[PriceRow, ...])


class Prices:
    """The table, as it is on one day."""

    def __init__(self, rows: Iterable[PriceRow], today: date) -> None:
        valid = sorted((row for row in rows if row.since <= today), key=lambda row: row.since)
        self._rows = {row.model: row for row in valid}

    @classmethod
    def shipped(cls, today: date, own: Path | None = None) -> Prices:
        """The file that ships with this library, and a file of the same form for models of your own, which wins.

        Raises Permanent for a file that cannot be read, in one line that names it and what is wrong with which row.
        """
        text = (resources.files("worksite.common.llm") / "prices.json").read_text()
        rows = list(_Rows.validate_json(text))
        if own:
            try:
                rows += _Rows.validate_json(own.read_text())
            except ValidationError as error:
                raise Permanent(f"MODEL_PRICES: {own} is no table of prices: {_told(error)}") from error
            except (OSError, UnicodeDecodeError) as error:
                raise Permanent(f"MODEL_PRICES: {own} cannot be read: {error}") from error
        return cls(rows, today)

    def row(self, model: str) -> PriceRow:
        """Raises UnknownPrice."""
        try:
            return self._rows[model]
        except KeyError:
            raise UnknownPrice(
                f"no price is known for the model {model!r}; add it to the file that MODEL_PRICES names "
                "(its form: docs/models.md)"
            ) from None

    def cost(self, model: str, usage: Usage) -> Decimal:
        """In dollars. Raises UnknownPrice, also for a tier or place whose price is not known."""
        rates = self.row(model).for_prompt(usage.prompt_tokens)
        if usage.tier not in _TIERS or usage.geo not in _GEOS:
            raise UnknownPrice(f"no price is known for {model} in tier {usage.tier!r}, place {usage.geo!r}")
        plain = (
            usage.input_tokens * rates.input
            + usage.cache_read_tokens * rates.read
            + usage.cache_write_5m_tokens * rates.write_5m
            + usage.cache_write_1h_tokens * rates.write_1h
            + usage.output_tokens * rates.output
        )
        return plain / _MILLION * _TIERS[usage.tier] * _GEOS[usage.geo]

    def at_most(self, model: str, prompt_tokens: int, output_tokens: int) -> Decimal:
        """What a call of that size can cost at worst: nothing cached, everything written, in the dearest band and
        place. Raises UnknownPrice."""
        rates = self.row(model).for_prompt(prompt_tokens)  # a shorter prompt is in no dearer band
        each = max(rates.input, rates.write_5m, rates.write_1h)
        return (prompt_tokens * each + output_tokens * rates.output) / _MILLION * max(_GEOS.values())


def micro_usd(amount: Decimal) -> int:
    """In millionths of a dollar, rounded up: integers add up the same in every order."""
    return int((amount / _MICRO).to_integral_value(ROUND_CEILING))


def _told(error: ValidationError) -> str:
    """The first problems, each with its place: a row is counted from 1."""
    problems = error.errors(include_url=False, include_input=False)
    told = [f"{_place(problem['loc'])}{problem['msg']}" for problem in problems[:_TOLD]]
    return "; ".join([*told, *(["…"] if len(problems) > _TOLD else [])])


def _place(location: tuple[int | str, ...]) -> str:
    if not location:
        return ""
    row, *inner = location
    return f"row {int(row) + 1}{''.join(f', {name}' for name in inner)}: "
