"""Each loss against an implementation that is not losslab's: `make conformance`."""
