"""The REPL: cells that run on engines, through the balanced view, or in a child process; never on the screen's thread."""
