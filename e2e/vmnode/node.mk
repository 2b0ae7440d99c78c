# A worker node with a real kernel, in a virtual machine; included by the Makefile. What it needs: e2e/vmnode/README.md
NODE_CLUSTER ?= damon-operator-node
# A control plane alone, without a mock: the only DAMON of this cluster is that of the machine.
NODE_ENV := KIND_CLUSTER=$(NODE_CLUSTER) KIND_WORKERS=0 KIND_MOCK=directory

.PHONY: node-up
node-up: setup ## Bring up the cluster that the virtual machine joins
	@$(NODE_ENV) $(KIND_DIR)/up.sh

.PHONY: node-down
node-down: ## Take that cluster away
	@$(NODE_ENV) $(KIND_DIR)/down.sh

.PHONY: test-node
test-node: node-up ## Run the chart on a node with a real kernel, in a virtual machine (VM_KERNEL=6.12)
	@eval "$$($(NODE_ENV) $(KIND_DIR)/env.sh)" && $(NODE_ENV) $(BIN)/pytest e2e/tests_node $(ARGS)
