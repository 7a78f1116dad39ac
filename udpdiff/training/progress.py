"""The progress line on stderr: a bar on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 20.0


def format_duration(seconds: float) -> str:
    """Return e.g. `2 h 05 min`, `3 min 20 s` or `14 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class Progress:
    """Steps done, loss, speed and the time left; silent when `shown` is false (all processes but the first)."""

    def __init__(self, run: str, first_step: int, steps: int, shown: bool = True) -> None:
        self.run = run
        self.first_step = first_step
        self.steps = steps
        self.shown = shown
        self._started = self._printed = time.monotonic()
        self._bar = None
        if shown and sys.stderr.isatty():
            self._bar = tqdm(total=steps, initial=first_step, desc=run, unit="step", dynamic_ncols=True)

    def steps_per_second(self, step: int) -> float:
        """Return the mean speed since this process started stepping."""
        return (step - self.first_step) / max(time.monotonic() - self._started, 1e-9)

    def seconds_left(self, step: int) -> float:
        """Return the expected time to the last step."""
        return (self.steps - step) / max(self.steps_per_second(step), 1e-9)

    def update(self, step: int, loss: float) -> None:
        """Show that `step` steps are done."""
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            self._bar.update(step - self._bar.n)
        elif self.shown and (step == self.steps or time.monotonic() - self._printed > _SECONDS_BETWEEN_LINES):
            self._printed = time.monotonic()
            self.say(
                f"step {step}/{self.steps}, loss {loss:.4f}, {self.steps_per_second(step):.2f} steps/s,"
                f" {format_duration(self.seconds_left(step))} left"
            )

    def say(self, message: str) -> None:
        """Print one line without tearing the bar."""
        if self.shown:
            tqdm.write(f"{self.run}: {message}", file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
