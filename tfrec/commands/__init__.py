"""The subcommands of `tfrec`, one module each, imported when called."""
