"""Trains one model under one loss, or with -m each of many: `python train.py loss=smoothl1 task=bbox`. See --help."""

import sys

from losslab.cli import train

if __name__ == "__main__":
    sys.exit(train(sys.argv[1:]))
