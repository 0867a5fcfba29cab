# Everything a newcomer, a developer and CI run. Second runs install nothing.
PYTHON ?= python3.11
# Where the default index would bring CUDA builds of torch, name an index of CPU wheels:
#   make demo TORCH_INDEX=<the URL that pytorch.org's selector shows for "CPU">
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
READY := $(VENV)/.ready
# Two cores: one thread a process is fastest for networks of this size (docs/performance.md).
export OMP_NUM_THREADS ?= 1
# Pins what builds the package as well, in pip's isolated build environment.
export PIP_CONSTRAINT := $(CURDIR)/constraints/build.txt

.PHONY: help setup setup-arm demo test test-slow test-light test-tflite-runtime test-mcu test-kernel lint bench lock clean
.DEFAULT_GOAL := help

help:  ## Show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Install everything into .venv, pinned

$(READY): pyproject.toml constraints/full.txt
	$(PYTHON) -m venv $(VENV)
	@echo "Installing (about 1.5 GB, once) ..."
	$(BIN)/python $(PIP_INSTALL) -c constraints/full.txt torch
	$(BIN)/python $(PIP_INSTALL) -c constraints/full.txt -e '.[litert,executorch,train,bundle,micro,parity,ble,sim,lsl,ray,dev]'
	touch $@

demo: $(READY)  ## The whole product with a simulated wearer, no hardware
	$(BIN)/qwrist demo

test: $(READY)  ## The everyday suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(READY)  ## The training gates
	$(BIN)/python -m pytest -m slow

test-mcu: $(READY)  ## The C on emulated Cortex-M boards (gcc-arm-none-eabi, qemu-system-arm)
	$(BIN)/python -m tests.mcu

test-kernel: $(READY)  ## The link over a real kernel and bluetoothd in QEMU (Debian; see docs/guides/test-tiers.md)
	$(BIN)/python -m pytest -m kernel tests/kernel -s

lint: $(READY)  ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## The ratios of docs/performance.md
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# The environments that cannot share a folder with the above, each with a test that runs a model in it.
.venv-light/.ready: pyproject.toml constraints/light.txt
	$(PYTHON) -m venv .venv-light
	.venv-light/bin/python $(PIP_INSTALL) -c constraints/light.txt -e '.[litert]'
	touch $@

.venv-tflite-runtime/.ready: pyproject.toml constraints/tflite-runtime.txt
	$(PYTHON) -m venv .venv-tflite-runtime
	.venv-tflite-runtime/bin/python $(PIP_INSTALL) -c constraints/tflite-runtime.txt -e . tflite-runtime
	touch $@

test-light: $(READY) .venv-light/.ready  ## The light install (no torch) runs an exported model
	$(BIN)/python -m tests.environments export build/environment-model
	.venv-light/bin/python -m tests.environments run build/environment-model

test-tflite-runtime: $(READY) .venv-tflite-runtime/.ready  ## The same under tflite-runtime 2.14 and NumPy 1
	$(BIN)/python -m tests.environments export build/environment-model
	.venv-tflite-runtime/bin/python -m tests.environments run build/environment-model

# Arm's tools: estimates of a microcontroller's NPU, and ExecuTorch's Cortex-M backend. Optional.
.venv-arm/.ready: constraints/arm.txt
	$(PYTHON) -m venv .venv-arm
	.venv-arm/bin/python $(PIP_INSTALL) -c constraints/arm.txt torch
	.venv-arm/bin/python $(PIP_INSTALL) -c constraints/arm.txt -e '.[executorch,train,arm]'
	touch $@

setup-arm: .venv-arm/.ready  ## Install Arm's tools into .venv-arm; `make` then names them to export
	@echo "export QWRIST_VELA=$(CURDIR)/.venv-arm/bin/vela QWRIST_ARM_PYTHON=$(CURDIR)/.venv-arm/bin/python"

lock:  ## Resolve constraints/*.txt anew
	$(PYTHON) constraints/lock.py

clean:  ## Remove environments and caches
	rm -rf .venv .venv-light .venv-tflite-runtime .venv-arm build .mypy_cache .ruff_cache .pytest_cache .hypothesis
