import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from study.data.__main__ import app


def run(*arguments: str, **environment: str):
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_describe_prints_shape_and_counts(tmp_path):
    done = run(
        "describe", "synthetic", "--set", "patients=2", "--set", "beats_per_patient=10",
        STUDY_CACHE_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.exit_code == 0
    assert "samples x channels x length: 20 x 1 x 160" in done.stdout
    assert "by label: 0 16, 1 4" in done.stdout
    assert "by record: patient000 10, patient001 10" in done.stdout


def test_settings_are_yaml(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t0\t1\n2\t0\t1\n")
    arguments = ("ucr", "--data", str(tmp_path), "--set", "path=a.tsv")
    done = run("check", *arguments, "--set", "normal_labels=[1]")
    assert done.exit_code == 0
    assert "2 rows of 2 values, labels 1 of 1, 1 of 2" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("check", "nothing"), "expected one of mitbih, wafer, ucr, synthetic"),
        (("fetch", "nothing"), "expected one of mitbih, wafer, ucr, synthetic"),
        (("describe", "synthetic", "--set", "length=33"), "multiple of 32, found 33"),
        (("describe", "synthetic", "--set", "lenght=64"), "--set lenght"),
        (("describe", "synthetic", "--set", "length"), "expected KEY=VALUE"),
        (("describe", "synthetic", "--set", "length=[1"), "expected a YAML value"),
        (("check", "ucr", "--set", "path=a"), "--set normal_labels: Field required"),
        (("check", "mitbih", "--data", "none"), "python -m study.data fetch mitbih --data none"),
        (("fetch", "mitbih", "--data", "none", "--url", "foo"), "--url: expected a URL"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert line in done.stderr


def test_a_download_that_fails_is_one_line_and_code_1(tmp_path):
    done = run("fetch", "mitbih", "--data", str(tmp_path), "--url", "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "the same command continues" in done.stderr


def test_fetch_of_wafer_from_a_server(server, tmp_path):
    server.files["/Wafer.zip"] = b"no zip"
    done = run("fetch", "wafer", "--data", str(tmp_path), "--url", f"{server.url}/Wafer.zip")
    assert done.exit_code == 2
    assert "Wafer.zip: expected a zip" in done.stderr


def test_the_module_runs_as_a_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "study.data", "check", "mitbih", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"STUDY_CACHE_DIR": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
