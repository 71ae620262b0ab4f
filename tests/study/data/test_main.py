import pytest

from study.data.__main__ import app
from tests.commands import Answer, call


def run(*arguments: str, **environment: str) -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return call(app, *arguments)


def test_describe_prints_shape_and_counts(tmp_path):
    done = run(
        "describe", "synthetic", "--set", "patients=2", "--set", "beats_per_patient=10",
        STUDY_CACHE_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.code == 0
    assert "samples x channels x length: 20 x 1 x 160" in done.output
    assert "by label: 0 16, 1 4" in done.output
    assert "by record: patient000 10, patient001 10" in done.output


def test_settings_are_yaml(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t0\t1\n2\t0\t1\n")
    arguments = ("ucr", "--data", str(tmp_path), "--set", "path=a.tsv")
    done = run("check", *arguments, "--set", "normal_labels=[1]")
    assert done.code == 0
    assert "2 rows of 2 values, labels 1 of 1, 1 of 2" in done.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("check", "nothing"), "expected one of mitbih, wafer, ucr, synthetic, table, series"),
        (("fetch", "nothing"), "expected one of mitbih, wafer, ucr, synthetic, table, series"),
        (("describe", "synthetic", "--set", "length=33"), "multiple of 32, found 33"),
        (
            ("describe", "synthetic", "--set", "lenght=64"),
            "dataset.lenght: unknown key; did you mean 'length'?",
        ),
        (("describe", "synthetic", "--set", "length"), "must be key.path=value"),
        (("describe", "synthetic", "--set", "length=[1"), "not valid YAML"),
        (("check", "ucr", "--set", "path=a"), "dataset.normal_labels: is missing"),
        (("check", "mitbih", "--data", "none"), "python -m study.data fetch mitbih --data none"),
        (("fetch", "mitbih", "--data", "none", "--url", "foo"), "--url: expected a URL"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.code == 2
    assert done.output == ""
    assert done.errors.count("\n") == 1
    assert line in done.errors


def test_a_download_that_fails_is_one_line_and_code_1(tmp_path):
    done = run("fetch", "mitbih", "--data", str(tmp_path), "--url", "http://127.0.0.1:9")
    assert done.code == 1
    assert done.errors.count("\n") == 1
    assert "the same command continues" in done.errors


@pytest.mark.parametrize("name", ["ucr", "synthetic", "table", "series"])
def test_where_there_is_nothing_to_fetch_one_line_says_so(name):
    done = run("fetch", name)
    assert done.code == 0
    assert done.output.count("\n") == 1
    assert "nothing to fetch" in done.output


def test_fetch_of_wafer_from_a_server(server, tmp_path):
    server.files["/Wafer.zip"] = b"no zip"
    done = run("fetch", "wafer", "--data", str(tmp_path), "--url", f"{server.url}/Wafer.zip")
    assert done.code == 2
    assert "Wafer.zip: expected a zip" in done.errors
