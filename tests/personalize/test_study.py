import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.errors import BadInput
from personalize import recipe
from personalize.networks import NETWORKS, build
from personalize.study import (
    TABLES,
    Cell,
    Preprocessing,
    Results,
    Setting,
    cells,
    plan,
    rows,
)


def setting(count=16, **changes):
    fields = {
        "recipe": recipe.load("paper"),
        "epochs": 30,
        "steps_fraction": 1.0,
        "seed": 0,
        "data": tuple(f"recording {i}" for i in range(count)),
        "validation": ("v",),
        "test": ("t",),
        "simulated": True,
    }
    return Setting.model_validate(fields | changes)


def test_the_papers_figures_stand_beside_the_papers_cells():
    table = {row.cell.sessions: row.published for row in rows("sessions", 16)}
    assert {n: p.cer_percent for n, p in table.items()} == {11: 58.266, 13: 33.888, 16: 29.976}
    assert {n: p.minutes for n, p in table.items()} == {11: 21, 13: 30, 16: 52}
    assert [(row.cell.network, row.published.cer_percent) for row in rows("architectures", 16)] == [
        ("tds", 33.888),
        ("tds_spatial", 26.852),
        ("spatial_lstm", 24.388),
    ]
    assert {row.name for row in rows("architectures", 16)} <= set(NETWORKS)


@pytest.mark.parametrize("table", TABLES)
def test_fewer_recordings_than_the_papers_get_no_figure_of_the_papers(table):
    found = rows(table, 4)
    assert {row.cell.sessions for row in found} == {4}
    assert all(row.published.cer_percent is None for row in found)


def test_cells_that_tables_share_are_one():
    keys = cells(setting(), TABLES)
    assert len(keys) == 3 + 2 + 3  # 13 recordings of tds are in two tables, spatial_lstm as it is in two
    assert plan(setting(), TABLES).tables["sessions"]["13 recordings"] in keys


CHANGES = [
    {"epochs": 29},
    {"steps_fraction": 0.1},
    {"seed": 1},
    {"simulated": False},
    {"validation": ("w",)},
    {"test": ("u",)},
    {"data": ("another",) * 16},
    {"recipe": recipe.override(recipe.load("paper"), {"learning_rate": 2e-3})},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_decides_a_result_changes_its_key(change):
    cell = Cell(network="tds", sessions=13)
    assert setting().key(cell) != setting(**change).key(cell)


@given(st.integers(1, 15))
def test_recordings_that_a_cell_does_not_use_leave_its_key(sessions):
    cell = Cell(network="tds", sessions=sessions)
    data = setting().data
    others = data[:sessions] + tuple(f"{name}, changed" for name in data[sessions:])
    assert setting().key(cell) == setting(data=others).key(cell)
    swapped = ("changed", *data[1:])
    assert setting().key(cell) != setting(data=swapped).key(cell)


def test_what_does_not_decide_it_leaves_the_key():
    cell = Cell(network="tds", sessions=13)
    other = recipe.override(recipe.load("paper"), {"network": "tds", "steps": 7, "evaluations": 1})
    assert setting().key(cell) == setting(recipe=other).key(cell)


def test_half_the_frames_are_refused_where_a_delay_is_counted_in_them():
    with pytest.raises(ValidationError, match="spatial_lstm"):
        Cell(network="tds", sessions=1, preprocessing=Preprocessing(hop_samples=32))
    assert build("spatial_lstm").label_delay == 0


def test_a_damaged_result_is_refused_and_an_absent_one_is_none(tmp_path):
    results = Results(tmp_path / "study")
    results.begin(plan(setting(), TABLES))
    assert results.find("0" * 16) is None
    results.path("0" * 16).write_text("{")
    with pytest.raises(BadInput, match="computed again"):
        results.find("0" * 16)
