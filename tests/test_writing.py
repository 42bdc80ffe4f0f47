import pytest

from jsplit.types import JsplitError
from jsplit.writing import make_folder


def test_a_folder_is_made_with_those_above_it_and_left_empty(tmp_path):
    make_folder(tmp_path / "a" / "b", "out")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    make_folder(tmp_path / "a", "out")  # it is there already


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    message = r"^out: cannot write into .*file/net: Not a directory; try elsewhere$"
    with pytest.raises(JsplitError, match=message):
        make_folder(tmp_path / "file" / "net", "out", "; try elsewhere")


def test_a_folder_that_cannot_be_written_into_is_one_line(monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", dir)

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(JsplitError, match=r"^out: cannot write into .*: Permission"):
        make_folder(tmp_path, "out")
