import pytest
import yaml

from edge.errors import BadInput
from personalize import recipe
from personalize.networks import NETWORKS


@pytest.mark.parametrize("name", recipe.names())
def test_shipped_recipes_are_valid_and_carry_their_file_name(name):
    loaded = recipe.load(name)
    assert loaded.name == name
    assert loaded == recipe.load(recipe.path(name))


def test_the_recipes_ship():
    assert recipe.names() == ["finetune", "micro", "paper", "streaming", "touch_up"]


@pytest.mark.parametrize("name", recipe.names())
def test_every_number_says_why(name):
    lines = recipe.path(name).read_text(encoding="utf-8").splitlines()
    numbers = [line for line in lines if any(c.isdigit() for c in line.split("#")[0].partition(":")[2])]
    assert numbers
    assert [line for line in numbers if "#" not in line] == []


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_can_be_named(name):
    fields = recipe.load("paper").model_dump() | {"network": name}
    assert recipe.Recipe.model_validate(fields).network == name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"learning_rat": 1}, "learning_rat"),
        ({"steps": 0}, "steps"),
        ({"network": "transformer"}, "streaming"),
        ({"align": {"early_weight": 2}}, "align"),
        ({"start": "elsewhere"}, "start"),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_field(tmp_path, change, says):
    fields = yaml.safe_load(recipe.path("streaming").read_text(encoding="utf-8")) | change
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        recipe.load(file)


@pytest.mark.parametrize("content", [b": :\n- [", b"\xff\xfe\x00", b"", b"just words"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"mine\.yaml"):
        recipe.load(str(file))


def test_unknown_names_and_missing_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="streaming"):
        recipe.load("strimming")
    with pytest.raises(BadInput, match="cannot be read"):
        recipe.load(tmp_path / "absent.yaml")


def test_overrides_are_validated_like_a_file():
    changed = recipe.override(recipe.load("streaming"), {"steps": 7})
    assert changed == recipe.load("streaming").model_copy(update={"steps": 7})
    with pytest.raises(BadInput, match="network"):
        recipe.override(recipe.load("streaming"), {"network": "transformer"})


ROWS = [
    {"minutes": 2, "way": "adapters", "steps": 100, "learning_rate": 0.005},
    {"minutes": 8, "way": "full", "steps": 300, "learning_rate": 0.001},
]


@pytest.mark.parametrize(
    ("minutes", "way", "steps"),
    [(0.5, "norm", 7), (2, "adapters", 100), (7.9, "adapters", 100), (8, "full", 300), (500, "full", 300)],
)
def test_minutes_pick_the_last_row_that_fits(minutes, way, steps):
    own = {"way": "norm", "steps": 7, "by_minutes": ()}
    base = recipe.override(recipe.load("streaming"), {"way": "norm", "steps": 7, "by_minutes": ROWS})
    picked = recipe.for_minutes(base, minutes)
    assert (picked.way, picked.steps, picked.by_minutes) == (way, steps, ())
    rest = {"way", "steps", "learning_rate", "by_minutes"}
    assert picked.model_dump(exclude=rest) == base.model_dump(exclude=rest)
    assert recipe.for_minutes(picked, 1) == picked
    if minutes < 2:
        assert picked == recipe.override(recipe.load("streaming"), own)


@pytest.mark.parametrize("change", [{"steps": 5}, {"way": "last"}, {"learning_rate": 0.01}])
def test_who_picks_leaves_nothing_to_the_minutes(change):
    base = recipe.override(recipe.load("streaming"), {"by_minutes": ROWS})
    assert recipe.override(base, change).by_minutes == ()
    assert recipe.override(base, {"dropout": 0.0}).by_minutes == base.by_minutes != ()
    assert recipe.override(base, {**change, "by_minutes": ROWS}).by_minutes == base.by_minutes


@pytest.mark.parametrize("rows", [ROWS[::-1], [ROWS[0], ROWS[0]], [{"minutes": 1}]])
def test_rows_that_do_not_ascend_or_lack_a_number_are_refused(rows):
    with pytest.raises(BadInput, match="by_minutes"):
        recipe.override(recipe.load("streaming"), {"by_minutes": rows})


def test_the_default_trains_longer_on_more_minutes_and_never_three_cpu_minutes_on_eight():
    shipped = recipe.load("finetune")
    steps = [recipe.for_minutes(shipped, minutes).steps for minutes in (1, 2, 4, 8, 16, 32)]
    assert steps == sorted(steps)
    assert steps[0] < steps[3] <= 400, "a step takes 0.3 CPU-seconds: benchmarks/training.py --personalize"
