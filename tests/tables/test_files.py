"""Tables are read as they were written, whatever the format; what is no table is refused with its line."""

from __future__ import annotations

import gzip
import logging
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from losslab.errors import BadRequest
from losslab.tables import read_table

FRAME = pd.DataFrame(
    {
        "city": ["Köln", "São Paulo", 'the "old" town', "a,b;c", "line\nbreak"],
        "area": [1.5, 1234.25, -0.5, 1e6, 7.0],
        "rooms": [1, 2, 3, 4, 5],
        "free": [True, False, True, True, False],
    }
)


def same(found: pd.DataFrame, expected: pd.DataFrame = FRAME) -> None:
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_column_type=False)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_of_any_separator_and_encoding(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "table.csv"
    FRAME.to_csv(path, index=False, sep=separator, encoding=encoding)
    same(read_table(path))


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.bz2", "t.csv.xz", "t.csv.zip", "t.parquet", "t.feather", "t.tsv"])
def test_packed_and_binary_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        FRAME.to_parquet(path)
    elif name.endswith("feather"):
        FRAME.to_feather(path)
    else:
        FRAME.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
    same(read_table(path))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 2)), min_size=3, max_size=20),
    words=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=2),
        min_size=20,
        max_size=20,
    ),
    style=st.sampled_from([(",", "."), (";", ","), ("\t", ","), ("|", "."), (";", ".")]),
)
def test_numbers_and_words_come_back(
    tmp_path: Path, values: list[float], words: list[str], style: tuple[str, str]
) -> None:
    separator, decimal = style
    kept = [f"w{word}" for word in words][: len(values)]
    frame = pd.DataFrame({"number": values, "word": kept})
    path = tmp_path / "made.csv"
    frame.to_csv(path, index=False, sep=separator, decimal=decimal)
    found = read_table(path)
    assert found["word"].tolist() == kept
    assert found["number"].tolist() == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('n,x\n1,"1,234.50"\n2,"12,000.00"\n', [1234.5, 12000.0]),
        ("n;x\n1;1.234,50\n2;12.000,00\n", [1234.5, 12000.0]),
        ("n;x\n1;1 234,5\n2;12 000\n", [1234.5, 12000.0]),
        ("n;x\n1;1\u00a0234,5\n2;12\u00a0000\n", [1234.5, 12000.0]),
        ("n,x\n1,$5.20\n2,$13.00\n", [5.2, 13.0]),
        ('n,x\n1,"€ 1,250.00"\n2,€ 3.50\n', [1250.0, 3.5]),
        ("n,x\n1,5%\n2,12.5%\n", [5.0, 12.5]),
        ("n,x\n1,-5e3\n2,+7\n", [-5000.0, 7.0]),
        ("n,x\n1,?\n2,7\n", [None, 7.0]),
        ("n,x\n1,-\n2,-7\n", [None, -7.0]),
        ("n;x;y\n1;1.234;0,5\n2;12.000;7,25\n", [1234.0, 12000.0]),
        ('n,x\n1,"1,234"\n2,"12,000"\n', [1234.0, 12000.0]),
    ],
)
def test_numbers_as_people_write_them(tmp_path: Path, text: str, expected: list[float | None]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    found = read_table(path)["x"]
    assert [None if np.isnan(value) else value for value in found.astype(float)] == expected


def test_what_nothing_decides_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n;x\n1;1,234\n2;12,345\n")
    with pytest.raises(BadRequest, match=r"t.csv: column 'x' holds numbers such as 1,234.*give data.decimal"):
        read_table(path)
    assert read_table(path, decimal=",")["x"].tolist() == [1.234, 12.345]
    assert read_table(path, decimal=".")["x"].tolist() == [1234, 12345]


def test_codes_and_countries_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("zip,country,attic\n01234,NA,None\n00100,DE,old\n99999,FR,None\n")
    found = read_table(path)
    assert found["zip"].tolist() == ["01234", "00100", "99999"]
    assert found["country"].tolist() == ["NA", "DE", "FR"], "Namibia"
    assert found["attic"].tolist() == ["None", "old", "None"]


def test_names_are_completed_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,a,,b\n1,2,3,4\n5,6,7,8\n")
    with caplog.at_level(logging.WARNING, "losslab"):
        assert list(read_table(path).columns) == ["a", "a (2)", "column 3", "b"]
    assert "column 2 has the name 'a' again" in caplog.text
    assert "column 3 has no name" in caplog.text
    path.write_text("1,2.5\n3,4\n")
    with caplog.at_level(logging.WARNING, "losslab"):
        found = read_table(path)
    assert found.shape == (2, 2)
    assert "has no line of names" in caplog.text


def test_empty_lines_and_ends_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b;\n1;2;\n\n;;\n3;4;\n\n")
    same(read_table(path), pd.DataFrame({"a": [1, 3], "b": [2, 4]}))
    path.write_text("a   b\n1   2\n3   4\n")
    same(read_table(path), pd.DataFrame({"a": [1, 3], "b": [2, 4]}))
    path.write_bytes(b"a,b\r1,2\r3,4\r")
    same(read_table(path), pd.DataFrame({"a": [1, 3], "b": [2, 4]}))


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.arange(6.0).reshape(3, 2), y=np.array([1, 0, 1]))
    found = read_table(tmp_path / "t.npz")
    assert list(found.columns) == ["x0", "x1", "y"]
    assert found["x1"].tolist() == [1, 3, 5]
    np.savez(tmp_path / "bad.npz", X=np.zeros((3, 2)), y=np.zeros(4))
    with pytest.raises(BadRequest, match=r"must hold arrays .* of one length; it holds X \[3, 2\], y \[4\]"):
        read_table(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a,b,c\n1,2,3\n4,5\n6,7,8\n", r"t.csv, line 3: 2 cells, and the header has 3"),
        ("t.csv", b"a,b\n1,2\n3,4,5\n", r"t.csv, line 3: 3 cells, and the header has 2"),
        ("t.csv", b'a,b\n"x\ny",2\n3,4,5\n', r"t.csv, line 4: 3 cells"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b" \n\n", "is empty"),
        ("t.csv", b"a,b\n", "has no rows"),
        ("t.csv", b"PK\x03\x04abc", "spreadsheet"),
        ("t.csv", b"a,b\n\x00\x01\x02,3\n", "zero bytes"),
        ("t.parquet", b"nothing", "cannot be read"),
        ("t.feather", b"nothing", "cannot be read"),
        ("t.npz", b"nothing", "cannot be read"),
        ("t.csv.gz", b"nothing", "cannot be read"),
        ("t.csv.zip", b"nothing", "cannot be read"),
        ("t.xlsx", b"nothing", "is no format that is read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRequest, match=message):
        read_table(tmp_path / name)


def test_a_file_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("a\n1\n")
    with pytest.raises(BadRequest, match=r"there is no such file \(did you mean 'sales.csv'\?\)"):
        read_table(tmp_path / "sale.csv")
    with pytest.raises(BadRequest, match="is a folder"):
        read_table(tmp_path)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(BadRequest, match="must hold one file, and it holds 2"):
        read_table(tmp_path / "two.zip")
    (tmp_path / "t.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    same(read_table(tmp_path / "t.gz"), pd.DataFrame({"a": [1], "b": [2]}))
