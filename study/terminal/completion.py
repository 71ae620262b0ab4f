"""What a shell offers to complete: names of studies, and keys of settings."""


def complete_study(incomplete: str) -> list[str]:
    """Return the shipped studies that begin so; the shell adds files where there are none."""
    from study.config.study_file import shipped_studies

    return [name for name in shipped_studies() if name.startswith(incomplete)]


def complete_setting(incomplete: str) -> list[str]:
    """Return `key.path=` of every single setting that begins so, for `--set`."""
    from study.config.error_messages import setting_keys

    keys = list(setting_keys())
    return sorted(
        f"{key}="
        for key in set(keys)
        if key.startswith(incomplete) and not any(k.startswith(f"{key}.") for k in keys)
    )
