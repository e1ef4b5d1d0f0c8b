# The commands of this project, the same for people and for CI. `make` alone lists them.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MNIST ?= mnist
PHOTOS ?= ../shared/data/insects
PROTOS := vouch/protos/vouch/v1/classifier.proto vouch/protos/inference/inference.proto

# What a process compiles is kept for the next: tests start hundreds, each of which imports thousands of modules.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo pictures test test-all test-fast test-wheel sbom test-versions compose-test browser haproxy prometheus shells floods memory fuzz lint format reference protos protos-baseline accuracy benchmark benchmark-quick h2load resets rolling-restart profile training honesty growth ideas loading many-photos quantized lock locks clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Set up .venv with everything, at the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED) ## Train, publish, serve and predict on handwritten digits (a minute)
	$(BIN)/python examples/demo.py

pictures: $(INSTALLED) browser ## Make the pictures of README and tutorial from a real report
	$(BIN)/python examples/pictures.py

test: $(INSTALLED) ## Everything CI runs: lint, types, tests with branch coverage
	@$(MAKE) --no-print-directory --jobs 2 lint test-all

test-all: $(INSTALLED)
	$(BIN)/pytest --numprocesses 3 --cov --cov-report=term-missing:skip-covered

test-fast: $(INSTALLED) ## Only the tests, without coverage
	$(BIN)/pytest --numprocesses 3 -x -q

test-wheel: $(INSTALLED) ## Build the wheel and test it in empty environments, with the pinned versions (minutes)
	$(BIN)/python -m tests.versions.prove pinned

sbom: $(INSTALLED) $(VENV)-sbom/.installed ## Write the wheel and its bill of materials (CycloneDX) into dist/ (minutes)
	$(BIN)/python -m tests.versions.sbom

test-versions: $(INSTALLED) $(VENV)-sbom/.installed ## Test the wheel with the newest and with the lowest versions, before each release (minutes)
	$(BIN)/python -m tests.versions.prove newest lowest

compose-test: $(INSTALLED) ## Start the deployment on a Docker engine and check it from outside (twenty minutes; as root)
	$(BIN)/python -m tests.compose.prove

browser: ## Install Debian's Chromium, in which the report is tested (as root)
	@command -v chromium > /dev/null || (apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium)

prometheus: ## Install Debian's Prometheus, in which rules and dashboard are tested (as root)
	@command -v prometheus > /dev/null || (apt-get update -qq && apt-get install -qq -y --no-install-recommends prometheus)

shells: ## Install Debian's zsh and fish, in which completion is tested beside bash (as root)
	@command -v zsh > /dev/null && command -v fish > /dev/null || (apt-get update -qq && apt-get install -qq -y --no-install-recommends zsh fish)

haproxy: ## Install Debian's HAProxy, in which the proxy's configuration is tested (as root)
	@command -v haproxy > /dev/null || (apt-get update -qq && apt-get install -qq -y --no-install-recommends haproxy)

floods: $(INSTALLED) ## Attack a server of each transport with floods of 10 s, and measure other callers' latency (half an hour)
	VOUCH_FLOOD_S=10 $(BIN)/pytest -q -s tests/hostile/test_floods.py

memory: $(INSTALLED) ## Send requests that need gigabytes, and measure the server's memory (some minutes; as root within 1 GiB)
	VOUCH_MEMORY_S=5 $(BIN)/pytest -q -s tests/hostile/test_memory.py

fuzz: $(INSTALLED) ## Send a million mutated messages and 100,000 mutated connections (half an hour)
	$(BIN)/python -m tests.hostile.fuzz

lint: $(INSTALLED) ## Check style, types and .proto files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/baseline.txtpb

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(INSTALLED) ## Write docs/reference from the code
	$(BIN)/python -m docs.reference

protos: $(INSTALLED) ## Generate the code beside the .proto files
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. $(PROTOS)

protos-baseline: $(INSTALLED) ## Accept the present .proto files as the baseline that must not break
	$(BIN)/buf build protos --exclude-source-info --output protos/baseline.txtpb

accuracy: $(INSTALLED) $(VENV)-tritonclient/.installed ## Train on MNIST, serve, and count right answers with an independent client too
	$(BIN)/python -m benchmarks.accuracy --other-python $(VENV)-tritonclient/bin/python --data $(MNIST)

benchmark: $(INSTALLED) h2load ## Measure serving beside Triton, MLServer, KServe, LitServe and mosec; installs them (an hour)
	$(BIN)/python -m benchmarks.serving --data $(MNIST) $(if $(wildcard $(PHOTOS)),--photos $(PHOTOS))

benchmark-quick: $(INSTALLED) h2load ## The short form of benchmark: five minutes after the peers are installed
	$(BIN)/python -m benchmarks.serving --quick --data $(MNIST)

h2load: ## Install Debian's load generator of HTTP/2, nghttp2-client (as root)
	@command -v h2load > /dev/null || (apt-get update -qq && apt-get install -qq -y --no-install-recommends nghttp2-client)

resets: $(INSTALLED) ## Measure the effect of passed deadlines on other calls of the same channel
	$(BIN)/python -m benchmarks.resets

rolling-restart: $(INSTALLED) $(VENV)-tritonclient/.installed haproxy ## Restart two servers in turn while others call
	$(BIN)/python -m benchmarks.rolling_restart --other-python $(VENV)-tritonclient/bin/python

profile: $(INSTALLED) $(VENV)-py-spy/.installed h2load ## Profile a saturated server (installs perf as root)
	@command -v perf > /dev/null || (apt-get update -qq && apt-get install -qq -y --no-install-recommends linux-perf)
	$(BIN)/python -m benchmarks.profile --data $(MNIST) --py-spy $(VENV)-py-spy/bin/py-spy

training: $(INSTALLED) ## Measure accuracy and time of training on all data sets, beside other methods (two hours)
	$(BIN)/python -m benchmarks.training --mnist $(MNIST) --photos $(PHOTOS)

honesty: $(INSTALLED) ## Measure how often promises from few images are kept, over many resamplings (hours)
	$(BIN)/python -m benchmarks.honesty --mnist $(MNIST) --photos $(PHOTOS)

growth: $(INSTALLED) ## Measure how cost grows with images, classes, models and connections (an hour; GROWTH=--quick: five minutes)
	$(BIN)/python -m benchmarks.growth $(GROWTH)

ideas: $(INSTALLED) ## Measure the effect of each idea in the cnn's recipe (half an hour)
	$(BIN)/python -m benchmarks.ideas --data $(MNIST)

quantized: $(INSTALLED) ## Measure speed, size and accuracy in int8 beside float32 (some minutes)
	$(BIN)/python -m benchmarks.quantized --data $(MNIST) $(if $(wildcard $(PHOTOS)),--photos $(PHOTOS))

loading: $(INSTALLED) ## Measure loading 60,000 images in every format that --data accepts
	$(BIN)/python -m benchmarks.loading --data $(MNIST)

many-photos: $(INSTALLED) ## Train on 20,000 photographs made from those in PHOTOS, with --memory 1G (half an hour)
	$(BIN)/python -m benchmarks.many_photos --photos $(PHOTOS)

$(VENV)-tritonclient/.installed:
	$(PYTHON) -m venv $(VENV)-tritonclient
	$(VENV)-tritonclient/bin/pip install --quiet --disable-pip-version-check 'tritonclient[grpc]==2.73.0' numpy==2.4.6
	@touch $@

$(VENV)-sbom/.installed: deploy/locks/sbom.txt
	$(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-sbom/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement deploy/locks/sbom.txt
	@touch $@

$(VENV)-py-spy/.installed:
	$(PYTHON) -m venv $(VENV)-py-spy
	$(VENV)-py-spy/bin/pip install --quiet --disable-pip-version-check py-spy==0.4.3
	@touch $@

lock: ## Write constraints.txt from pyproject.toml
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(VENV)-lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	rm -rf $(VENV)-lock

# The same versions with the hashes of all their files. torch's builds differ: UV_FIND_LINKS or UV_INDEX leads to the one
# for CPUs, whose dependencies are meant, and it is left out.
HASHED := $(VENV)-uv/bin/uv pip compile --quiet --no-header --no-annotate --generate-hashes --constraint constraints.txt \
	--python-version 3.11 --python-platform x86_64-manylinux_2_36
locks: $(VENV)-uv/.installed ## Write deploy/locks from constraints.txt, for the images
	echo setuptools | $(HASHED) - --output-file deploy/locks/build.txt
	echo cyclonedx-bom==7.5.0 | $(HASHED) - --output-file deploy/locks/sbom.txt
	$(HASHED) pyproject.toml --extra server --extra sign --output-file deploy/locks/server-cpu.txt
	echo 'onnxruntime-gpu[cuda,cudnn]' | $(HASHED) pyproject.toml - --extra server --extra sign --no-emit-package onnxruntime \
		--output-file deploy/locks/server-cuda.txt
	$(HASHED) pyproject.toml --extra trainer --extra backbone --no-emit-package torch --output-file deploy/locks/trainer.txt

$(VENV)-uv/.installed:
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

clean: ## Remove what these commands created, except models
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
