#!/usr/bin/env bash
# Throws faults at a whole cluster for MINUTES (10) and proves from its event log that nothing that was
# promised broke. Every replica, worker and PostgreSQL (a primary and a standby) has an address of its own
# in a network namespace of its own, all of them in a network that nothing else can reach.
#   scripts/fault/campaign.sh [MINUTES] [--seed N] [--only FAULT,...] [--once] [--keep] [--list]
#   --seed    of the choice of faults (default: from the clock; it is printed)
#   --only    these faults, by kind or name, as --list prints them (default: all)
#   --once    each of them once, however long that takes
#   --keep    keeps the data folder; with violations it is always kept
# Needs root, network namespaces, nftables, PostgreSQL and libfaketime: scripts/install-packages fault.
# Environment: MAESTRO_BIN, the program. Default: build/bin/maestro, which `make build` makes.
# Prints each fault and last a table and `N faults, M violations`. Exit codes: 0 none was found; 1 there were
# violations (with the events of the runs), or it was interrupted; 2 the arguments are wrong or something that
# it needs is missing.
# docs/reliability.md says what is checked. What a killed campaign left is removed by the next one.
set -euo pipefail
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/campaign.py" "$@"
