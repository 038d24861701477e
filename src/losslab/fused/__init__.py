"""Many runs trained fused, as one stack."""
