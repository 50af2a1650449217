# Guanxin. Needs Python 3.11+, make and the package registries; everything else is fetched by the lock files.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CODE   := libs cli services
# The whole path, 100,000 messages: what `make bench` alone measures.
NAME ?= end-to-end
# What `make fuzz` hunts in, and for how long.
DIALECT ?= smpp34
MINUTES ?= 10
PYTEST := $(BIN)/python -m guanxin.stack.testbed -- $(BIN)/python -m pytest

# One thing after another: a target's lines rely on the ones before it.
.NOTPARALLEL:
.DEFAULT_GOAL := help

.PHONY: help
help: ## 列出目标 / list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | sort | expand -t 14

.PHONY: run
run: env ## 启动整套平台并演示 / start everything, send the demo's messages, say where to look
	@$(BIN)/guanxin stack up --detach

.PHONY: down
down: env ## 停止 / stop everything
	@$(BIN)/guanxin stack down

.PHONY: reset
reset: env ## 停止并清空本地数据 / stop and delete local data
	@$(BIN)/guanxin stack reset

.PHONY: test
test: env-dev assets-dev ## 全部测试（真实 Kafka 与 PostgreSQL）/ all tests, on real Kafka and PostgreSQL
	@$(PYTEST) tests -n 2 --dist loadgroup $(ARGS)

.PHONY: check
check: env-dev ## 格式、静态检查、导入规则、类型、快速测试 / format, lint, import rules, types, fast tests
	@$(BIN)/ruff format --check --quiet . || { echo "→ make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy $(CODE)
	@$(BIN)/python -m pytest tests/unit tests/contract -q -n 2 $(ARGS)

.PHONY: format
format: env-dev ## 统一格式并修正可自动修正的问题 / format, and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: env-dev ## 性能基准（NAME=… 选其一，NAME= 列出）/ benchmarks: the whole path, or NAME=… (NAME= lists them)
	@$(BIN)/python -m bench $(NAME) $(ARGS)

.PHONY: chaos
chaos: env-dev assets-dev ## 故障演练（MESSAGES=每场景条数）并写 docs/reliability.md / failure scenarios, written into docs/reliability.md
	@GUANXIN_CHAOS_MESSAGES=$(or $(MESSAGES),100000) GUANXIN_CHAOS_REPORT=docs $(BIN)/python -m pytest tests/chaos -q -s $(ARGS)

.PHONY: fuzz
fuzz: env-dev ## 覆盖率引导的模糊测试（DIALECT=… MINUTES=…），并入语料 / coverage-guided fuzzing, kept in the corpus
	@$(BIN)/python -m pip install -q --require-hashes -r requirements-fuzz.lock
	@PYTHONPATH=tests $(BIN)/python -m fuzz run $(DIALECT) --minutes $(MINUTES)
	@PYTHONPATH=tests $(BIN)/python -m fuzz pack $(DIALECT)

.PHONY: lock
lock: env-dev ## 重新锁定依赖 / lock dependencies anew (needs uv)
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --group fuzz -o requirements-fuzz.lock
	npm install --package-lock-only --ignore-scripts
	$(BIN)/python -m guanxin.stack.engines.jars lock

.PHONY: env env-dev assets-dev
env:
	@$(PYTHON) deploy/local/bootstrap.py run

env-dev:
	@$(PYTHON) deploy/local/bootstrap.py dev

assets-dev:
	@$(BIN)/python -m guanxin.stack.assets > /dev/null
	@$(BIN)/python -m guanxin.stack.assets dev > /dev/null
