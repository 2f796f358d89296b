// A store in memory: for tests, the simulator and as the model that other adapters are compared
// with.
#pragma once

#include <memory>

#include "db/store.h"

namespace mc::db {

std::unique_ptr<Store> make_memory_store();

}  // namespace mc::db
