"""Trains one model under one loss, or with -m each of many: `python train.py loss=smoothl1 task=bbox`. See --help."""

import sys

if __name__ == "__main__":
    try:
        from losslab.cli.train import train  # takes a moment, in which Ctrl-C may come
        from losslab.safe_points import exit_with
    except KeyboardInterrupt:
        print("\nStopped before anything had begun.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # a file of losslab's that cannot be opened, as where none can
        print(f"train.py: Stopped, as nothing can be read: {error}.", file=sys.stderr)
        sys.exit(1)
    try:
        exit_with(train(sys.argv[1:]))
    except KeyboardInterrupt:  # just before or after what is trained
        sys.exit(130)
