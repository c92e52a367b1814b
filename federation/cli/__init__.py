"""The command line: `federation query`, `explain`, `check`, `discover` and `shell`."""
