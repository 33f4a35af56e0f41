"""What the environment may say."""

from __future__ import annotations

import pytest

from {{ cookiecutter.package_name }} import settings


def test_a_relative_root_lies_in_the_project_wherever_one_works(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_ROOT", "elsewhere")
    monkeypatch.delenv("RAW_ROOT")
    monkeypatch.chdir(tmp_path)
    assert settings.load().data_root == str(settings.PROJECT / "elsewhere")
    assert settings.load().raw_root == str(settings.PROJECT / "elsewhere" / "raw")


def test_a_url_is_a_root_too_with_or_without_a_slash_at_its_end(monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "memory://bucket/mine/")
    monkeypatch.delenv("RAW_ROOT")
    assert settings.load().data_root == "memory://bucket/mine"
    assert settings.load().raw_root == "memory://bucket/mine/raw"


def test_all_wrong_values_are_named_at_once(monkeypatch):
    monkeypatch.setenv("DATA_ROOT", " ")
    monkeypatch.setenv("RAW_ROOT", __file__)
    monkeypatch.setenv("LUIGI_SCHEDULER_URL", "localhost:8082")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "localhost:8786")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(settings.SettingsError) as error:
        settings.load()
    assert "DATA_ROOT is empty" in str(error.value)
    for name in ("RAW_ROOT", "LUIGI_SCHEDULER_URL", "DASK_SCHEDULER_ADDRESS", "LOG_LEVEL"):
        assert f"{name} is" in str(error.value)


def test_a_root_that_cannot_be_opened_is_refused_and_a_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "nowhere://bucket")
    monkeypatch.setenv("RAW_ROOT", "sftp://me:hunter2@host/data")
    with pytest.raises(settings.SettingsError, match="nowhere") as error:
        settings.load()
    assert "RAW_ROOT holds a password" in str(error.value)
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("DATA_ROOT", "s3:/me:hunter2@bucket")
    with pytest.raises(settings.SettingsError, match="DATA_ROOT is no whole URL; give") as error:
        settings.load()
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("DATA_ROOT", "s3://me:hunter2@[::1")
    with pytest.raises(settings.SettingsError, match="DATA_ROOT is malformed; name a") as error:
        settings.load()
    assert "hunter2" not in str(error.value)


def test_an_env_file_that_is_not_utf_8_is_named(monkeypatch, tmp_path):
    (tmp_path / ".env").write_bytes("DATA_ROOT=x".encode("utf-16"))
    monkeypatch.setattr(settings, "PROJECT", tmp_path)
    with pytest.raises(settings.SettingsError, match="is not UTF-8"):
        settings.load()
