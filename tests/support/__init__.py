"""What tests and benchmarks share: no test lives here."""
