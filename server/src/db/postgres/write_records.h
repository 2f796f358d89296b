// The small documents and receipts of a batch in SQL: a part of write.h.
#pragma once

#include <vector>

#include "db/postgres/connection.h"
#include "db/store.h"

namespace mc::db::pg {

// One write of the batch, with where it stands there: guards name it by that.
template <class T>
struct Placed {
  const T* value = nullptr;
  std::int64_t place = 0;
};

void write_records(const Batch& batch, std::vector<Statement>& out);
// Errors: conflict: the batch has the same key twice.
Status write_receipts(const Batch& batch, std::vector<Statement>& out);

}  // namespace mc::db::pg
