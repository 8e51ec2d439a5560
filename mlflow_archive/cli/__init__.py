"""The command line: click in, text or JSON out."""
