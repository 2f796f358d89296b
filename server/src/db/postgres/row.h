// Rows of an answer as db/run_row.h and the port want them.
#pragma once

#include <string>

#include "db/postgres/connection.h"
#include "db/run_row.h"

namespace mc::db::pg {

// The columns of one row, for read_row. `rows` outlives it.
struct RowAt {
  const Rows& rows;
  int row = 0;
  std::int64_t integer(int column) const { return rows.integer(row, column); }
  std::string text(int column) const { return rows.text(row, column); }
  std::string_view view(int column) const { return rows.view(row, column); }
  Uuid uuid(int column) const { return rows.uuid(row, column); }
  Instant instant(int column) const { return rows.instant(row, column); }
};

// first_seq, last_seq, time, payload from `column` on.
inline EventGroup read_group(const Rows& rows, int row, int column) {
  return {rows.integer(row, column), rows.integer(row, column + 1), rows.instant(row, column + 2),
          rows.text(row, column + 3)};
}

}  // namespace mc::db::pg
