// A store with a long past, without living through it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/uuid.h"

namespace mc::bench {

// Copies the newest finished run of a store until `total` runs are in it, written the way the
// server writes them. `data` is the store's folder, unless it is in bench/database.h's database.
// `ids` tells the copies apart from one call to the next and grows with them; ids of tenths of
// them have failed. Requires: no server works on the store. Errors: of the store.
Status seed_finished_runs(const std::string& data, int total, std::vector<Uuid>& ids);

}  // namespace mc::bench
