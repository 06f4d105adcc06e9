"""stand-in until the repl pane lands"""

from textual.widgets import Static


class ReplPane(Static):
    pane = "repl"
    number = 8
    pulls = 10

    def __init__(self, desk):
        super().__init__("", id="repl", classes="pane", markup=False)
        self.desk = desk
        self.can_focus = True

    def title(self):
        return [("px · lb · local", "dim"), ("    targets all (12)", "dim")]

    def take_focus(self):
        self.focus()

    def interrupt(self):
        return False
