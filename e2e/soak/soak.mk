# Faults at random for an hour; included by the Makefile. What it holds and what it leaves out: docs/reliability.md
SOAK_MINUTES ?= 60

.PHONY: soak
soak: setup ## Faults at random on operators, agents and kernels (SOAK_MINUTES=60 SOAK_SEED=1)
	@$(BIN)/python -m soak --minutes $(SOAK_MINUTES) $(if $(SOAK_SEED),--seed $(SOAK_SEED)) $(ARGS)
