# Who helps under memory pressure, on a real kernel in a virtual machine; included by the Makefile, behind e2e/vm/vm.mk.
# What is measured, and what it said: docs/benchmark.md. What is finished in EFFICACY_OUT is not run again.
# The page's tables and pictures are those of the kept runs: tests/bench/test_kept.py.
EFFICACY_KEPT := bench/efficacy/results
EFFICACY_KERNEL ?= 6.12
EFFICACY_OUT ?= out/efficacy
EFFICACY := PYTHONPATH=bench $(BIN)/python -m efficacy

.PHONY: bench-efficacy
bench-efficacy: setup ## Who helps under memory pressure, on a real kernel: hours (EFFICACY_OUT=, ARGS="--scenarios main")
	@if reason=$$($(VM_DIR)/able.sh); then $(EFFICACY) run $(EFFICACY_OUT) --kernel $(EFFICACY_KERNEL) $(ARGS); \
	else echo "SKIPPED: make bench-efficacy: $$reason" >&2; fi

.PHONY: bench-efficacy-small
bench-efficacy-small: setup ## The same in ten minutes: does the benchmark itself work?
	@rm -rf out/efficacy-small
	@$(MAKE) --no-print-directory bench-efficacy EFFICACY_OUT=out/efficacy-small \
	  ARGS="--scenarios main --contenders none loop enforce --repetitions 1 --seconds cold=45 hold=10"

.PHONY: bench-efficacy-tables
bench-efficacy-tables: setup ## Tables and plots of what is in EFFICACY_OUT
	@$(EFFICACY) tables $(EFFICACY_OUT)

.PHONY: bench-efficacy-page
bench-efficacy-page: setup ## Tables and pictures of docs/benchmark.md, from the runs that are kept
	@for kept in $(EFFICACY_KEPT)/*; do $(EFFICACY) tables $$kept || exit; done
	@for suffix in svg png; do mv $(EFFICACY_KEPT)/6.12/main.$$suffix docs/images/benchmark-main.$$suffix; done
	@rm -f $(EFFICACY_KEPT)/*/*.svg $(EFFICACY_KEPT)/*/*.png
	@$(EFFICACY) page $(EFFICACY_KEPT) docs/benchmark.md
	@$(EFFICACY) picture $(EFFICACY_KEPT)/6.12 main docs/images/benchmark.svg --contenders none memory_min loop enforce_auto
