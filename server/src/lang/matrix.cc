#include "lang/matrix.h"

#include <algorithm>
#include <set>

#include "lang/functions.h"

namespace mc::lang {
namespace {
Error wrong(Code code, std::string message) { return Error{code, std::move(message), {}}; }

std::string label_of(const Value& values) {
  std::string label;
  for (const Member& member : values.as_object()) {
    if (!label.empty()) label += ",";
    label += member.first + "=" + to_text(member.second);
  }
  return label;
}

bool covers(const Value& cell, const Value& pattern) {
  const Object& wanted = pattern.as_object();
  return std::all_of(wanted.begin(), wanted.end(), [&](const Member& member) {
    const Value* value = cell.find(member.first);
    return value != nullptr && *value == member.second;
  });
}

Result<MatrixSpec> resolve(const MatrixSpec& matrix, const Scope& scope) {
  MatrixSpec resolved = matrix;
  if (!matrix.expression.empty()) {
    const Result<Value> value = evaluate_template(matrix.expression, scope);
    if (!value) return value.error();
    if (value->is_list()) {
      for (const Value& item : value->as_list()) {
        if (!item.is_object())
          return wrong(Code::invalid_definition, "`matrix`: the list must hold objects");
        resolved.include.push_back(item);
      }
    } else if (value->is_object()) {
      for (const Member& member : value->as_object()) {
        if (!member.second.is_list())
          return wrong(Code::invalid_definition, "`matrix." + member.first + "` must be a list");
        if (member.first == "include" || member.first == "exclude") {
          (member.first == "include" ? resolved.include : resolved.exclude) =
              member.second.as_list();
        } else {
          resolved.axes.push_back({member.first, member.second.as_list(), {}});
        }
      }
    } else {
      return wrong(Code::invalid_definition,
                   "`matrix` must be an object of lists or a list of objects");
    }
  }
  for (MatrixAxis& axis : resolved.axes) {
    if (axis.expression.empty()) continue;
    Result<Value> value = evaluate_template(axis.expression, scope);
    if (!value) return value.error();
    if (!value->is_list())
      return wrong(Code::invalid_definition, "`matrix." + axis.name + "` must be a list");
    axis.values = std::move(value->as_list());
  }
  return resolved;
}

Result<std::vector<Value>> multiply(const MatrixSpec& matrix) {
  std::vector<Value> cells;
  if (matrix.axes.empty()) return cells;
  double count = 1;
  for (const MatrixAxis& axis : matrix.axes) count *= static_cast<double>(axis.values.size());
  if (count > matrix.max_cells) {
    return wrong(
        Code::limit_exceeded,
        "the matrix has " + std::to_string(static_cast<std::int64_t>(std::min(count, 1e15))) +
            " cells, more than " + std::to_string(matrix.max_cells) + " (raise it with max_cells)");
  }
  cells.push_back(Value(Object{}));
  for (const MatrixAxis& axis : matrix.axes) {
    std::vector<Value> longer;
    for (const Value& cell : cells) {
      for (const Value& value : axis.values) {
        longer.push_back(cell);
        longer.back().set(axis.name, value);
      }
    }
    cells = std::move(longer);
  }
  return cells;
}

void include(const MatrixSpec& matrix, std::vector<Value>& cells) {
  const std::size_t original = cells.size();
  for (const Value& extra : matrix.include) {
    Value on_axes = Object{}, rest = Object{};
    for (const Member& member : extra.as_object()) {
      const bool axis = std::any_of(matrix.axes.begin(), matrix.axes.end(),
                                    [&](const MatrixAxis& a) { return a.name == member.first; });
      (axis ? on_axes : rest).set(member.first, member.second);
    }
    bool joined = false;
    for (std::size_t i = 0; i < original; ++i) {
      if (!covers(cells[i], on_axes) || rest.as_object().empty()) continue;
      for (const Member& member : rest.as_object()) cells[i].set(member.first, member.second);
      joined = true;
    }
    const bool there =
        std::any_of(cells.begin(), cells.end(), [&](const Value& cell) { return cell == extra; });
    if (!joined && !there) cells.push_back(extra);
  }
}
}  // namespace

Result<std::vector<Cell>> expand_matrix(const MatrixSpec& matrix, const Scope& scope) {
  Result<MatrixSpec> resolved = resolve(matrix, scope);
  if (!resolved) return resolved.error();
  for (const auto* list : {&resolved->include, &resolved->exclude}) {
    for (const Value& item : *list) {
      if (!item.is_object())
        return wrong(Code::invalid_definition, "`include` and `exclude` must hold objects");
    }
  }
  Result<std::vector<Value>> values = multiply(*resolved);
  if (!values) return values.error();
  std::erase_if(*values, [&](const Value& cell) {
    return std::any_of(resolved->exclude.begin(), resolved->exclude.end(),
                       [&](const Value& pattern) { return covers(cell, pattern); });
  });
  include(*resolved, *values);
  if (static_cast<int>(values->size()) > matrix.max_cells) {
    return wrong(Code::limit_exceeded, "the matrix has " + std::to_string(values->size()) +
                                           " cells, more than " + std::to_string(matrix.max_cells) +
                                           " (raise it with max_cells)");
  }
  std::vector<Cell> cells;
  std::set<std::string> labels;
  for (Value& value : *values) {
    std::string label = label_of(value);
    if (!labels.insert(label).second)
      return wrong(Code::invalid_definition, "the matrix has the cell " + label + " twice");
    cells.push_back({std::move(label), std::move(value)});
  }
  return cells;
}
}  // namespace mc::lang
