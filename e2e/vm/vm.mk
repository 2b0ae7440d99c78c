# Virtual machines with stock Debian kernels; included by the Makefile. More: e2e/vm/README.md
VM_DIR := e2e/vm
VM_KERNELS ?= 6.12 newest

.PHONY: vm-kernels
vm-kernels: ## Get kernels and root file system for the machines (VM_KERNELS="6.12 6.18 newest")
	@$(VM_DIR)/rootfs.sh >/dev/null && $(VM_DIR)/kernel.sh $(VM_KERNELS)
