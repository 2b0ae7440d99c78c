# Images and chart. Included by the Makefile, whose $(BIN) and `setup` it uses.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# The first engine that answers: a docker client without a daemon is no engine.
CONTAINER_ENGINE ?= $(shell for e in docker podman; do $$e info >/dev/null 2>&1 && echo $$e && break; done)
# Another base than the Dockerfile's, which is pinned.
PYTHON_IMAGE ?=
IMAGE_PREFIX ?= localhost/damon-operator
IMAGE_TAG ?= $(VERSION)
# More for the engine's build command, such as --network host or --platform linux/arm64.
IMAGE_BUILD_FLAGS ?=
CHART := helm/damon-operator

.PHONY: images
images: ## Build the images with docker or podman (IMAGE_PREFIX= IMAGE_TAG= PYTHON_IMAGE= CONTAINER_ENGINE=)
	@engine='$(CONTAINER_ENGINE)'; \
	test -n "$$engine" || { echo 'no container engine answers: start docker, install podman, or say CONTAINER_ENGINE=' >&2; exit 2; }; \
	revision=$$(git describe --always --dirty 2>/dev/null || echo unknown); \
	for target in operator agent; do \
	  $$engine build $(IMAGE_BUILD_FLAGS) --target $$target --tag $(IMAGE_PREFIX)/$$target:$(IMAGE_TAG) \
	    $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$revision . || exit; \
	done

.PHONY: chart-readme
chart-readme: setup ## Generate the chart's README from the comments of values.yaml
	@$(BIN)/python helm/values_readme.py $(CHART)

.PHONY: chart-check
chart-check: setup ## The chart: README, CRD templates, schema, and what it renders to (needs helm)
	@$(BIN)/python helm/values_readme.py --check $(CHART)
	@$(BIN)/python -m damon_contract --check
	@$(BIN)/pytest tests/chart e2e/prometheus -q $(ARGS)

.PHONY: chart-render
chart-render: ## Print what the chart installs (ARGS="--set ...")
	@$(or $(HELM),helm) template damon-operator $(CHART) --namespace damon-operator $(ARGS)
