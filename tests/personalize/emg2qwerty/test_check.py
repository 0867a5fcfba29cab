import h5py
import numpy as np
import pytest

from edge.quality import Severity
from edge.samples import RATE_HZ, KeyPress
from edge.session import Session
from personalize.emg2qwerty import check, splits
from personalize.emg2qwerty.files import Expected, open_download
from personalize.emg2qwerty.splits import PAPER_TEST, PAPER_USER, Listed
from personalize.features import FramedSession
from simulate.wearer import Wearer
from tests.personalize.emg2qwerty.making import (
    PAPER_STARTS,
    name_of,
    real_keys,
    write_download,
    write_metadata,
    write_recording,
)


def silent(*_):
    pass


def whats(findings):
    return [(finding.severity.name, finding.what) for finding in findings]


@pytest.fixture
def folder(tmp_path):
    return write_download(tmp_path / "data", PAPER_STARTS[:3])


def read(folder):
    download = open_download(folder)
    return list(check.read_all(download, download.files, silent))


def test_a_whole_download_has_no_finding(folder):
    download = open_download(folder)
    assert list(check.check_layout(download)) == []
    assert all(isinstance(result, Session) for result in read(folder))


def test_files_and_metadata_are_compared(folder):
    write_metadata(folder, [(start, PAPER_USER) for start in PAPER_STARTS[1:6]], tags="['noisy']")
    found = list(check.check_layout(open_download(folder)))
    assert [finding.where for finding in found[:2]] == [name_of(PAPER_STARTS[0]), "metadata.csv"]
    assert "names 3 recordings that are not here" in found[1].what
    assert sum("noisy" in finding.what for finding in found) == 5


def test_no_metadata_is_said(folder):
    (folder / "metadata.csv").unlink()
    assert whats(check.check_layout(open_download(folder)))[0][0] == "WARN"


def test_hashes_find_what_changed_what_is_absent_and_what_is_unknown(folder):
    first, second, third = sorted(path.name for path in folder.glob("*.hdf5"))
    size = (folder / first).stat().st_size
    manifest = {
        name: Expected(session_file=name, sha256="0" * 64, bytes=size) for name in (first, second, "x.hdf5")
    }
    manifest[second] = manifest[second].model_copy(update={"bytes": 1})
    found = {f.where: f for f in check.check_hashes(open_download(folder), manifest, silent)}
    assert "SHA-256" in found[first].what
    assert "1" in found[second].what
    assert found[first].severity is found[second].severity is Severity.FAIL
    assert found["x.hdf5"].severity is Severity.WARN
    assert "not in the manifest" in found[third].what


def test_swapped_files_are_found_by_name_user_and_keys(folder):
    write_recording(
        folder, PAPER_STARTS[0], user="77", session_name=name_of(PAPER_STARTS[1]), keys=[("a", 0.1, 0.1)]
    )
    found = [result for result in read(folder) if not isinstance(result, Session)]
    assert whats(found) == [
        ("FAIL", f"its session_name is {name_of(PAPER_STARTS[1])}, expected {name_of(PAPER_STARTS[0])}"),
        ("FAIL", f"its user is 77, expected {PAPER_USER}"),
        ("WARN", "its number of keystrokes is 1, expected 2"),
    ]


def test_a_damaged_file_is_one_finding_and_the_rest_is_read(folder):
    path = folder / f"{name_of(PAPER_STARTS[1])}.hdf5"
    path.write_bytes(path.read_bytes()[:3000])
    results = read(folder)
    assert [isinstance(result, Session) for result in results].count(True) == 2
    (failed,) = (result for result in results if not isinstance(result, Session))
    assert failed.severity is Severity.FAIL
    assert str(path) in failed.what


def test_a_recording_without_a_known_key_cannot_train(folder):
    write_recording(folder, PAPER_STARTS[0], keys=[("Key.left", 0.1, 0.1), ("Key.left", 0.2, 0.1)])
    assert ("FAIL", "it holds no key of the charset") in whats(
        result for result in read(folder) if not isinstance(result, Session)
    )


def test_a_split_that_lacks_recordings_says_how_many(folder):
    download = open_download(folder)
    split = splits.Split("mine", tuple(download.listed), (), (Listed(PAPER_USER, "absent"),), "here")
    assert whats(check.check_split(download, split)) == [
        ("WARN", "lacks 1 of its 1 test recordings, absent first")
    ]


def test_a_generic_split_that_tests_whom_it_trains_fails(folder):
    one = open_download(folder).listed
    split = splits.Split("generic", tuple(one[:1]), (), tuple(one[1:]), "here")
    assert any(f.severity is Severity.FAIL for f in check.check_split(open_download(folder), split))


def test_the_papers_test_leaks_from_the_published_generic_model(tmp_path):
    download = open_download(write_download(tmp_path / "data"))
    (leak,) = check.published_leaks(download, splits.single_user(download.listed))
    assert leak.where == f"user {PAPER_USER}"
    assert splits.HELD_OUT[0] in leak.advice


def test_a_held_out_person_does_not_leak(tmp_path):
    download = open_download(write_download(tmp_path / "data", user=splits.HELD_OUT[0]))
    split = splits.Split("user0", tuple(download.listed[:-1]), (), tuple(download.listed[-1:]), "here")
    assert list(check.published_leaks(download, split)) == []
    assert len(list(check.leaks(split.test, ["0" + splits.HELD_OUT[0]], "a base"))) == 1


def test_real_labels_over_simulated_signals_become_training_data(tmp_path):
    keys = real_keys(PAPER_TEST, 36.0)
    presses = [KeyPress(key, at, at + hold) for key, at, hold in keys]
    emg = Wearer(5).perform_keys(0, presses).emg_uv
    write_recording(tmp_path, PAPER_TEST, keys=keys, emg=emg)
    (session,) = read(tmp_path)[:1]
    assert len(session.keys) == len(keys) > 20
    assert session.filtered
    assert not session.calibrated
    framed = FramedSession.of(session)
    assert framed.labels.count == len(session.labels)
    np.testing.assert_allclose(
        framed.labels.press_frame * 16 / RATE_HZ, [at for key, at, _ in keys if key != "?"], atol=2e-6
    )


def test_fields_are_found_by_name_in_any_order(folder):
    path = folder / f"{name_of(PAPER_STARTS[0])}.hdf5"
    before = open_download(folder)
    (expected,) = check.read_all(before, [name_of(PAPER_STARTS[0])], silent)
    with h5py.File(path, "r+") as file:
        group = file["emg2qwerty"]
        records = group["timeseries"][:]
        del group["timeseries"]
        other = np.zeros(
            len(records),
            [("emg_right", "<f4", (16,)), ("extra", "i4"), ("time", "<f8"), ("emg_left", "<f4", (16,))],
        )
        for name in ("time", "emg_left", "emg_right"):
            other[name] = records[name]
        group.create_dataset("timeseries", data=other, compression="gzip")
    (found,) = check.read_all(before, [name_of(PAPER_STARTS[0])], silent)
    np.testing.assert_array_equal(found.emg_uv, expected.emg_uv)
