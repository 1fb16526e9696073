"""``python -m demo run`` and ``python -m demo clean``: what the Makefile's targets call."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from demo.display import Display
from demo.failure import DemoFailed
from demo.home import Home
from demo.interrupts import interrupt_on_signals
from demo.keyspace import FULL_KEYS

_EXIT_FAILED = 1
_EXIT_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status: 0 when everything succeeded."""
    options = _parser().parse_args(arguments)
    home = Home(Path(__file__).resolve().parent.parent)
    display = Display()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # the report has names that not every terminal can show
    interrupt_on_signals()
    try:
        if options.command == "clean" and not home.root.exists():
            display.line("There is no demo here: nothing to clean.")
        elif options.command == "clean":
            from demo.stop import clean

            clean(home, display)
        else:
            from demo.run import Demo

            Demo(home, options.keys, display).run(once=options.once, approve=options.approve)
    except ModuleNotFoundError as error:
        display.line(f"make demo: {error}; `make venv` brings back what the demo was started with")
        return _EXIT_FAILED
    except DemoFailed as error:
        display.line(f"make demo: {error}")
        return _EXIT_FAILED
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="start everything, audit, and stay until Ctrl-C")
    running.add_argument(
        "--keys", type=_number, default=FULL_KEYS // 10, help="how many keys (default: a tenth of the incident's)"
    )
    running.add_argument("--once", action="store_true", help="stop everything at the end")
    running.add_argument("--approve", action="store_true", help="approve the plan, and follow the remediation")
    commands.add_parser("clean", help="stop everything and remove it")
    return parser


def _number(text: str) -> int:
    digits = text.replace(",", "").replace("_", "")
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError(f"KEYS must be a whole number, as in KEYS={FULL_KEYS}; found {text!r}")
    return int(digits)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
