#!/usr/bin/env bash
# Kills a server and its workers with SIGKILL N times under load, and checks what they promised.
#   scripts/crash/campaign.sh N [--phase NAME]... [--seed NUMBER] [--folder DIR]
#   --phase   random, points, slow, clock, full or fresh; may be repeated (default: all)
#   --seed    of all chance but the machine's own (default: from the clock; it is printed)
#   --folder  where data is kept (default: a new folder under TMPDIR)
# Environment: MAESTRO_BIN, the program. Default: build/faults/bin/maestro, which
#   `cmake --preset faults && ninja -C build/faults maestro` makes. A program without fault points can
#   take part in the phases random, full and fresh only; the others are then said to be skipped.
# Prints progress, and last `N kills, M violations`. Exit codes: 0 none was found; 1 there were
# violations (the data folder is kept and named); 2 the arguments are wrong or there is no program.
# docs/reliability.md says what is checked.
set -euo pipefail
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/campaign.py" "$@"
