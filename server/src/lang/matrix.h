// Expansion of a matrix into its cells, in the order written: the last axis varies fastest.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"
#include "lang/expression.h"
#include "model/workflow.h"

namespace mc::lang {

struct Cell {
  std::string label;  // "suite=api,sanitizer=none": the part of the job's key in brackets
  Value values;       // object in axis order, then include's extra keys
};

// GitHub's meaning: exclude removes cells that match every key given; an include object extends
// each cell that its own axis keys agree with (never overwriting an axis), or else is a cell of its
// own. Counts before it multiplies: a billion cells are refused at once. Errors: limit_exceeded,
// invalid_expression, invalid_definition (wrong type, a cell twice).
// Values may hold templates too. Bounded: 32 axes, max_cells, 16 MiB of values.
Result<std::vector<Cell>> expand_matrix(const MatrixSpec& matrix, const Scope& scope);

// Whether its cells are known before a run: there is no template in it.
bool is_static(const MatrixSpec& matrix);

}  // namespace mc::lang
