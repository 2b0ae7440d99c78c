# The end-to-end cluster; included by the Makefile. What the targets do and which settings they read: e2e/kind/README.md
KIND_DIR := e2e/kind

.PHONY: kind-tools
kind-tools: ## Build kind, Helm 4 and Helm 3 into the cache
	@$(KIND_DIR)/tools.sh kind helm helm3

.PHONY: kind-up
kind-up: setup ## Bring up a real cluster with a mock DAMON per node
	@$(KIND_DIR)/up.sh

.PHONY: kind-down
kind-down: ## Take the cluster and its mocks away
	@$(KIND_DIR)/down.sh

.PHONY: test-kube
test-kube: kind-up ## Let the cluster's API server judge what the tests say of the embedded one
	@eval "$$($(KIND_DIR)/env.sh)" && $(BIN)/pytest tests/mock_kube --kubeconfig "$$KUBECONFIG" $(KUBE_ARGS)

.PHONY: test-kind
test-kind: test-kube ## Run that, and then the end-to-end suite on the cluster
	@eval "$$($(KIND_DIR)/env.sh)" && $(BIN)/pytest e2e/tests_kind $(ARGS)
