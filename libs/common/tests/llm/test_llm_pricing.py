"""Prices: dated, exact, never guessed."""

import json
from datetime import date
from decimal import Decimal

import pytest
from worksite.common.errors import Permanent
from worksite.common.llm import Prices, Usage
from worksite.common.llm.errors import UnknownPrice
from worksite.common.llm.pricing import micro_usd

TODAY = date(2026, 11, 23)
SHIPPED = Prices.shipped(TODAY)
OWN = {
    "model": "qwen-coder", "since": "2026-01-01", "source": "own machine", "context_tokens": 32_000,
    "rates": [{"input": "0", "output": "0", "write_5m": "0", "write_1h": "0", "read": "0"}],
    "max_output_tokens": 8_000, "min_cacheable_tokens": 1,
}  # fmt: skip


def test_each_class_of_tokens_has_its_own_price():
    usage = Usage(
        input_tokens=1000, cache_read_tokens=2000, cache_write_5m_tokens=300, cache_write_1h_tokens=40, output_tokens=5
    )
    by_hand = 1000 * 2 + 2000 * Decimal("0.10") + 300 * Decimal("2.50") + 40 * 4 + 5 * 10
    assert SHIPPED.cost("claude-sonnet-5-5", usage) == by_hand / 1_000_000


def test_reading_from_the_cache_is_not_a_tenth_everywhere():
    read = Usage(cache_read_tokens=1_000_000)
    assert SHIPPED.cost("claude-opus-5-5", read) == Decimal("0.20")
    assert SHIPPED.cost("claude-opus-5", read) == Decimal("0.50")


@pytest.mark.parametrize(("read", "expected"), [(99_999, "0.00100009"), (100_000, "0.0050005")])
def test_haikus_band_is_chosen_by_the_whole_prompt_and_charges_all_of_it(read, expected):
    usage = Usage(input_tokens=1, cache_read_tokens=read)
    assert SHIPPED.cost("claude-haiku-5-5", usage) == Decimal(expected)


def test_a_price_holds_from_its_day_on():
    read = Usage(cache_read_tokens=1_000_000)
    assert Prices.shipped(date(2026, 10, 6)).cost("claude-sonnet-5-5", read) == Decimal("0.20")
    assert Prices.shipped(date(2026, 10, 7)).cost("claude-sonnet-5-5", read) == Decimal("0.10")


@pytest.mark.parametrize("model", ["claude-fable-5-2", "gpt-9", ""])
def test_a_model_of_unknown_price_is_refused(model):
    with pytest.raises(UnknownPrice, match="MODEL_PRICES"):
        SHIPPED.cost(model, Usage())


@pytest.mark.parametrize("odd", [{"tier": "priority"}, {"geo": "moon"}])
def test_a_tier_or_place_of_unknown_price_is_refused(odd):
    with pytest.raises(UnknownPrice):
        SHIPPED.cost("claude-haiku-5-5", Usage(**odd))


def test_batches_cost_half_and_the_united_states_a_tenth_more():
    plain = SHIPPED.cost("claude-haiku-5-5", Usage(input_tokens=1000))
    assert SHIPPED.cost("claude-haiku-5-5", Usage(input_tokens=1000, tier="batch")) == plain / 2
    assert SHIPPED.cost("claude-haiku-5-5", Usage(input_tokens=1000, geo="us")) == plain * Decimal("1.1")


def test_no_call_of_a_size_costs_more_than_its_worst():
    for model in ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"):
        worst = SHIPPED.at_most(model, 120_000, 700)
        for usage in (
            Usage(input_tokens=120_000, output_tokens=700, geo="us"),
            Usage(cache_write_1h_tokens=99_000, output_tokens=700),
            Usage(cache_read_tokens=120_000, output_tokens=700),
        ):
            assert SHIPPED.cost(model, usage) <= worst


def test_a_table_of_ones_own_adds_models_and_wins(tmp_path):
    file = tmp_path / "prices.json"
    dearer = OWN | {"model": "claude-haiku-5-5", "rates": [OWN["rates"][0] | {"input": "7"}]}
    file.write_text(json.dumps([OWN, dearer | {"since": "2026-11-01"}]))
    prices = Prices.shipped(TODAY, file)
    assert prices.cost("qwen-coder", Usage(input_tokens=10**6)) == 0
    assert prices.cost("claude-haiku-5-5", Usage(input_tokens=10**6)) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"model": "my-llama", "rates": 0}]', "row 1, since: Field required"),
        (json.dumps([OWN, OWN | {"rates": 0}]), "row 2, rates: Input should be a valid array"),
        (json.dumps([OWN | {"max_output_tokens": 0}]), "row 1, max_output_tokens: Input should be greater than"),
        ("[", "Invalid JSON"),
    ],
)
def test_a_table_that_is_none_says_which_file_and_what_is_wrong_where_in_one_line(tmp_path, text, said):
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(Permanent) as refused:
        Prices.shipped(TODAY, file)
    assert f"{file} is no table of prices" in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_not_there_is_named_with_the_setting(tmp_path):
    with pytest.raises(Permanent, match=r"MODEL_PRICES: .*none\.json cannot be read"):
        Prices.shipped(TODAY, tmp_path / "none.json")


def test_every_shipped_row_names_its_source_and_orders_its_bands():
    for model in ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-opus-4-5"):
        row = SHIPPED.row(model)
        assert row.source
        assert row.rates[-1].up_to_prompt_tokens is None
        assert list(row.rates) == sorted(row.rates, key=lambda r: r.input)


def test_millionths_are_rounded_up():
    assert micro_usd(Decimal("0.0000001")) == 1
    assert micro_usd(Decimal("0.000002")) == 2
