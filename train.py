"""Trains one model under one loss, or with -m each of many: `python train.py loss=smoothl1 task=bbox`. See --help."""

import sys

if __name__ == "__main__":
    try:
        from losslab.cli import train  # takes a moment, in which Ctrl-C may come

        sys.exit(train(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nStopped before anything had begun.", file=sys.stderr)
        sys.exit(130)
