# Virtual machines with stock Debian kernels, and the suite on them; included by the Makefile. More: e2e/vm/README.md
VM_DIR := e2e/vm
VM_KERNELS ?= 6.12 newest
# As many machines at a time as there are kernels, processors, and 2 GiB of memory for each.
VM_MACHINES ?= $(shell awk -v kernels=$(words $(VM_KERNELS)) -v cpus=$$(nproc) '/^MemAvailable/ { \
  n = int($$2 / 2097152); n = n < cpus ? n : cpus; n = n < kernels ? n : kernels; print (n > 1 ? n : 1) }' /proc/meminfo)

.PHONY: vm-kernels
vm-kernels: ## Get kernels and root file system for the machines (VM_KERNELS="6.12 6.18 newest")
	@$(VM_DIR)/rootfs.sh >/dev/null && $(VM_DIR)/kernel.sh $(VM_KERNELS)

.PHONY: test-kernel
test-kernel: setup ## Run the agent on real kernels, in virtual machines (VM_KERNELS=)
	@if reason=$$($(VM_DIR)/able.sh); then \
	  $(VM_DIR)/rootfs.sh >/dev/null && $(VM_DIR)/kernel.sh $(VM_KERNELS) && $(VM_DIR)/agent-image.sh >/dev/null && \
	  VM_KERNELS="$(VM_KERNELS)" $(BIN)/pytest e2e/tests_kernel -n $(VM_MACHINES) --dist loadgroup $(ARGS); \
	else echo "SKIPPED: make test-kernel: $$reason" >&2; fi
