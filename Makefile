# Everything that a newcomer needs: `make demo`, `make test`.
GO ?= go
export CGO_ENABLED = 0
PROTOS = enrolment.proto participant.proto operator.proto scoring.proto
FUZZTIME ?= 1000000x
ROWS ?= 1000000
BYTES ?= 10000000000
BUILD = $(GO) build -trimpath -buildvcs=false -ldflags=-s

.PHONY: all build test demo fuzz bench bench-solvers bench-memory bench-wide curve onnx-check generate clean

all: build

build: ## the three static binaries, in bin/
	$(BUILD) -o bin/ ./coordinator/cmd/tributary ./participant/cmd/tributary-participant ./protocol/cmd/tributary-audit

test: ## every test; the end-to-end ones build the binaries themselves
	@.ci/setup
	$(GO) test -timeout 20m ./...

demo: build ## four organisations, one model: the main job end to end
	$(GO) run ./deploy/demo -bin bin

fuzz: ## a million executions of each decoder's fuzz target (FUZZTIME=1000000x)
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "== $$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package || exit 1; \
		done; \
	done

bench: ## the secure aggregation alone, then whole rounds with 4, 16 and 64 participants
	$(GO) test -run '^$$' -bench . -benchtime 20x ./crypto/secagg
	$(GO) run ./deploy/bench

bench-solvers: ## our solvers beside scikit-learn, liblinear, implicit, xLearn and myFM, which it installs from PyPI into bin/solvers (needs Python 3)
	deploy/bench/solvers/run.sh -rows $(ROWS)

bench-memory: ## a participant's peak memory with a CSV file of 10 GB (BYTES=…; SCRATCH=a folder with three times that): needs Linux
	$(GO) run ./deploy/bench/memory -bytes $(BYTES) -dir "$(SCRATCH)"

bench-wide: ## one round of federated averaging of 20 million coefficients, without network
	$(GO) run ./deploy/bench/wide

curve: ## quality against ε on Adult (needs TRIBUTARY_DATA): a table, curve.png and curve.svg in bin/
	$(GO) run ./deploy/bench/curve -out bin

onnx-check: ## exported ONNX models against onnxruntime, which it installs from PyPI into bin/onnx (needs Python 3)
	deploy/onnx/check.sh

generate: ## protobuf code; needs protoc (Debian: protobuf-compiler)
	mkdir -p bin/tools
	$(GO) build -o bin/tools/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	PATH=$(CURDIR)/bin/tools:$$PATH protoc -I protocol/pb --go_out=protocol/pb --go_opt=paths=source_relative \
		--go-grpc_out=protocol/pb --go-grpc_opt=paths=source_relative $(PROTOS)

clean:
	rm -rf bin
