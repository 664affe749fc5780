"""What docs/operations.md says of every store's retention and size is what the subject table says."""

import re
from pathlib import Path

import pytest
from worksite.common import subjects
from worksite.common.subjects import DAY
from worksite.gateway.room import FULL, WRITTEN_BY_TASKS

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([\d.]+) % \| (refuses|drops the oldest) \|", re.M)
TOLD = {name: (kept, float(share), full) for name, kept, share, full in ROW.findall(TEXT)}
STREAMS = {spec.name: spec for spec in subjects.STREAMS}
BUCKETS = {f"KV_{spec.name}": spec for spec in subjects.BUCKETS}
BUCKETS |= {f"OBJ_{spec.name}": spec for spec in subjects.OBJECT_STORES}
SPECS = STREAMS | BUCKETS


def age(seconds: float) -> str:
    if seconds == subjects.FOR_EVER:
        return "no age"
    return f"{seconds / DAY:g} d" if seconds >= DAY else f"{seconds:g} s"


def test_the_table_names_every_store_and_nothing_else():
    assert sorted(TOLD) == sorted(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_a_store_is_described_as_it_is_provisioned(name):
    spec = SPECS[name]
    refuses = name in BUCKETS or STREAMS[name].refuse_new
    share = pytest.approx(spec.disk_share * 100)
    assert TOLD[name] == (age(spec.max_age_seconds), share, "refuses" if refuses else "drops the oldest")


def test_the_stores_together_fit_into_what_the_bus_may_use():
    assert sum(spec.disk_share for spec in SPECS.values()) <= 1 + 1e-9


def test_events_and_ledger_outlive_every_command():
    lasting = (STREAMS["EVENTS"], BUCKETS["KV_ledger"])
    assert min(spec.max_age_seconds for spec in lasting) > STREAMS["WORK"].max_age_seconds


def test_the_limit_of_intake_is_the_one_that_is_told():
    told = re.search(r"From (\d+) % of ([^\n]+) on, new tasks", TEXT)
    assert told
    assert int(told[1]) == pytest.approx(FULL * 100)
    assert set(re.findall(r"\w+_\w+|[A-Z]{2,}", told[2])) == set(WRITTEN_BY_TASKS)
