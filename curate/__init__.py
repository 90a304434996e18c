"""The engine: pools, signals, rules, plans, executors, store, ledger, audit."""
