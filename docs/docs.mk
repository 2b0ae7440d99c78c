# The documentation site. Included by the Makefile, whose $(BIN), $(PYTHON), $(COMPILE) and `setup` it uses.
# The generator lives in a virtual environment of its own: nothing of the product needs it.
DOCS_VENV := .cache/docs
DOCS_BIN := $(DOCS_VENV)/bin
DOCS_STAMP := $(DOCS_VENV)/.installed
DOCS_OUT ?= out/site

$(DOCS_STAMP): requirements-docs.lock
	@echo "setting up $(DOCS_VENV) from requirements-docs.lock" >&2
	@$(PYTHON) -m venv --clear $(DOCS_VENV)
	@$(DOCS_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

.PHONY: docs
docs: $(DOCS_STAMP) docs-check ## Build the documentation site into out/site; a broken link or anchor is an error
	@NO_MKDOCS_2_WARNING=1 $(DOCS_BIN)/mkdocs build --strict --site-dir $(DOCS_OUT)
	@$(BIN)/python docs/tools/links.py --external
	@echo "open $(DOCS_OUT)/index.html; its search needs a server: make docs-serve"

.PHONY: docs-serve
docs-serve: $(DOCS_STAMP) ## Serve the documentation at http://localhost:8000 and build it anew at each change
	@NO_MKDOCS_2_WARNING=1 $(DOCS_BIN)/mkdocs serve --strict

.PHONY: docs-plots
docs-plots: setup ## Draw the plots of the documentation from the product's own functions
	@$(BIN)/python docs/tools/marks.py

.PHONY: docs-check
docs-check: setup ## Links and anchors of all Markdown, the plots, the API reference
	@$(BIN)/python docs/tools/links.py
	@$(BIN)/python docs/tools/marks.py --check
	@$(BIN)/python -m damon_contract --check

.PHONY: docs-lock
docs-lock: setup ## Resolve the generator of the site anew
	@echo mkdocs-material | $(subst make lock,make docs-lock,$(COMPILE)) --output-file requirements-docs.lock -
