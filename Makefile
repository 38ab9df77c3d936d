# The two commands for a newcomer: make demo, make check.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)

.PHONY: demo check build bench release-worker fuzz clean

## demo: set up what is needed, start Potluck with a page, a database and one worker, print the address
## (POTLUCK_HTTP_ADDR=127.0.0.1:9090 POTLUCK_DATA_DIR=/srv/potluck make demo: another address, another folder)
demo: build
	@scripts/install.sh demo
	@exec bin/potluck demo

## check: set up what the tests need, run everything that CI runs
check:
	@scripts/install.sh check
	@GO="$(GO)" scripts/check.sh

## build: both programs into bin/
build:
	@mkdir -p bin
	CGO_ENABLED=1 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/potluck .
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/potluck-worker ./cmd/potluck-worker

## bench: every benchmark, with allocations
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

## release-worker: the worker for every system that owners have, into dist/
release-worker:
	@GO="$(GO)" VERSION="$(VERSION)" scripts/release-worker.sh

## fuzz: every fuzz target for TIME each
TIME ?= 30s
fuzz:
	@GO="$(GO)" TIME="$(TIME)" scripts/fuzz.sh

## faults: the pool and real workers behind a bad network, TIME for each fault
.PHONY: faults
faults:
	$(GO) test ./workers -run '^TestBadNetwork$$' -v -count=1 -timeout 24h -faults $(TIME)

## chaos: kill the real programs N times while visitors ask, by the schedule of SEED; every kill is printed
SEED ?= 1
N ?= 2000
.PHONY: chaos
chaos:
	$(GO) test -run '^TestChaos$$' -v -count=1 -timeout 24h . -chaos.seed $(SEED) -chaos.kills $(N)

clean:
	rm -rf bin dist
