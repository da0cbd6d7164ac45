# Everything that a newcomer needs: `make demo`, `make test`.
GO ?= go
export CGO_ENABLED = 0
PROTOS = enrolment.proto participant.proto operator.proto
BUILD = $(GO) build -trimpath -buildvcs=false -ldflags=-s

.PHONY: all build test demo fuzz bench generate lint clean

all: build

build: ## the three static binaries, in bin/
	$(BUILD) -o bin/ ./coordinator/cmd/tributary ./participant/cmd/tributary-participant ./protocol/cmd/tributary-audit

test: ## every test
	$(GO) test ./...

generate: ## protobuf code; needs protoc (Debian: protobuf-compiler)
	mkdir -p bin/tools
	$(GO) build -o bin/tools/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	PATH=$(CURDIR)/bin/tools:$$PATH protoc -I protocol/pb --go_out=protocol/pb --go_opt=paths=source_relative \
		--go-grpc_out=protocol/pb --go-grpc_opt=paths=source_relative $(PROTOS)

clean:
	rm -rf bin
