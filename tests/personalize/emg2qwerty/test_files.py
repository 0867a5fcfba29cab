import hashlib

import pytest

from edge.errors import BadInput
from personalize.emg2qwerty import files
from tests.edge.making import shared_data
from tests.personalize.emg2qwerty.making import PAPER_STARTS, name_of, write_download, write_metadata

CONTENT = b"a" * (files._BLOCK + 3)
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x.hdf5").write_bytes(CONTENT)
    return tmp_path / "x.hdf5"


def test_the_real_manifest_is_understood():
    expected = files.read_manifest(shared_data("typing/user89335547_hdf5_sha256.csv"))
    assert len(expected) == 18
    assert sum(one.bytes or 0 for one in expected.values()) == pytest.approx(4.725e9, rel=0.001)
    assert all(name.endswith(".hdf5") for name in expected)


@pytest.mark.parametrize(
    "form", ["session_file,sha256,bytes\nx.hdf5,{0},{1}\n", "{0}  x.hdf5\n", "{0} *./x.hdf5"]
)
def test_either_form_of_manifest_names_the_same_file(tmp_path, path, form):
    manifest = tmp_path / "sums"
    manifest.write_text(form.format(SUM, len(CONTENT)))
    (expected,) = files.read_manifest(manifest).values()
    assert files.mismatch(path, expected) is None
    path.write_bytes(CONTENT[:-1] + b"b")
    assert "SHA-256" in str(files.mismatch(path, expected))


def test_the_size_is_asked_before_the_hash(path):
    said = []
    short = files.Expected(session_file="x.hdf5", sha256=SUM, bytes=4)
    assert files.mismatch(path, short, lambda *done: said.append(done)) == (
        f"it has {len(CONTENT)} bytes, expected 4"
    )
    assert said == []
    files.mismatch(path, short.model_copy(update={"bytes": None}), lambda *done: said.append(done))
    assert said == [(files._BLOCK, len(CONTENT)), (len(CONTENT), len(CONTENT))]


@pytest.mark.parametrize(
    "content",
    [
        b"session_file,sha256,bytes\n../x.hdf5," + SUM.encode() + b",1\n",
        b"session_file,sha256,bytes\nx.hdf5,abc,1\n",
        b"a,b\n1,2\n",
        SUM.encode() + b"  x.hdf5\nwhat is this\n",
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "sums").write_bytes(content)
    with pytest.raises(BadInput, match="sums"):
        files.read_manifest(tmp_path / "sums")


def test_a_download_lists_what_is_there_and_named(tmp_path):
    folder = write_download(tmp_path / "data", PAPER_STARTS[:3], user="09456349")
    write_metadata(folder, [(start, "09456349") for start in PAPER_STARTS[1:5]])
    download = files.open_download(folder)
    assert sorted(download.files) == sorted(map(name_of, PAPER_STARTS[:3]))
    assert [one.session for one in download.listed] == [name_of(start) for start in PAPER_STARTS[1:3]]
    assert {one.user for one in download.listed} == {"9456349"}


def test_what_is_no_download_is_refused(tmp_path):
    with pytest.raises(BadInput, match="not a folder"):
        files.open_download(tmp_path / "absent")
    with pytest.raises(BadInput, match=r"no \.hdf5"):
        files.open_download(tmp_path)
    write_download(tmp_path, PAPER_STARTS[:1])
    write_metadata(tmp_path, [(PAPER_STARTS[0], "1"), (PAPER_STARTS[0], "1")])
    with pytest.raises(BadInput, match="twice"):
        files.open_download(tmp_path)
    (tmp_path / "metadata.csv").write_text("session,user\nx,1\n")
    with pytest.raises(BadInput, match="duration_mins"):
        files.open_download(tmp_path)
