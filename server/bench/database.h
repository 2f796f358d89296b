// The PostgreSQL that measurements keep their data in, when it is not SQLite.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "db/store.h"

namespace mc::bench {

// For measurements alone: what they write stays there. Requires: nothing was measured yet.
void keep_data_in(const std::string& postgres_url);
// Its url; empty: everything is in SQLite.
const std::string& database_url();

// From now on data is in a schema of its own there, so that a measurement does not see what another
// one left; nothing to do for SQLite. Errors: of the store; unavailable, when the url is no url.
Status move_to_schema(const std::string& name);

// The store of a server's data folder, or of the database. Requires: no server works on it.
Result<std::unique_ptr<db::Store>> open_store(const std::string& data);
// What a database does by itself, given time, after many rows have come in.
Status settle_store();

}  // namespace mc::bench
