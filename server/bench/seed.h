// A store with a long past, without living through it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/uuid.h"

namespace mc::bench {

// Copies the newest finished run of a data folder until `total` runs are in it, written the way the
// server writes them. `ids` tells the copies apart from one call to the next and grows with them;
// ids of tenths of them have failed. Requires: no server holds the folder. Errors: of the store.
Status seed_finished_runs(const std::string& data, int total, std::vector<Uuid>& ids);

}  // namespace mc::bench
