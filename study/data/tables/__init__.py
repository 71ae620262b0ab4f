"""Tables of samples: files of many forms, a row per sample, read into one."""
