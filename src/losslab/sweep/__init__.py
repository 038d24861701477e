"""Many runs: planned as stacks, trained, resumed."""
