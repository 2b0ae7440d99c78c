.PHONY: pyz
pyz: setup ## Pack kubectl damon into one file, with a manifest for krew: dist/ (needs a registry)
	@$(BIN)/python cli/packaging/pyz.py $(ARGS)
	@SHIV_ROOT=$$(mktemp -d) $(PYTHON) dist/kubectl-damon.pyz --help >/dev/null && echo "dist/kubectl-damon.pyz runs"

.PHONY: bench-cli
bench-cli: setup ## Time of each command against 5,000 nodes and 10,000 pods
	@$(BIN)/python bench/cli_answers.py $(ARGS)
