// What PostgreSQL itself can do on this machine with rows that mean nothing.
#pragma once

#include "base/error.h"

namespace mc::bench {

// Inserts `rows` of 256 bytes by one statement and one durable commit a batch, into a table with no
// index that is gone afterwards; rows a second. Requires: database_url(). Errors: unavailable.
Result<double> unnest_rate(int rows, int batch);

}  // namespace mc::bench
