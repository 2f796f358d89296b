#include "lang/matrix.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "lang/functions.h"

namespace mc::lang {
namespace {
constexpr std::size_t kAxesMax = 32;
constexpr double kBytesMax = 16 << 20;
constexpr double kComparisonsMax = 2e6;

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

std::size_t weigh(const Value& value) {
  std::size_t total = sizeof(Value);
  if (value.is_string()) total += value.as_string().size();
  if (value.is_list()) {
    for (const Value& item : value.as_list()) total += weigh(item);
  } else if (value.is_object()) {
    for (const Member& member : value.as_object())
      total += member.first.size() + weigh(member.second);
  }
  return total;
}

bool has_template(const Value& value) {
  if (value.is_string()) return value.as_string().find("${{") != std::string::npos;
  if (value.is_list())
    return std::any_of(value.as_list().begin(), value.as_list().end(), has_template);
  return value.is_object() &&
         std::any_of(value.as_object().begin(), value.as_object().end(),
                     [](const Member& member) { return has_template(member.second); });
}

// Evaluates the templates in `value`.
Status fill_in(Value& value, const Scope& scope) {
  if (value.is_string()) {
    Result<Value> made = evaluate_template(value.as_string(), scope);
    if (!made) return made.error();
    value = std::move(*made);
  } else if (value.is_list()) {
    for (Value& item : value.as_list()) {
      if (Status done = fill_in(item, scope); !done) return done;
    }
  } else if (value.is_object()) {
    for (Member& member : value.as_object()) {
      if (Status done = fill_in(member.second, scope); !done) return done;
    }
  }
  return {};
}

// The whole matrix as one value: an object of lists or a list of objects.
Status take_apart(const Value& value, MatrixSpec& into) {
  if (value.is_list()) {
    into.include = value.as_list();
    return {};
  }
  if (!value.is_object())
    return wrong(Code::invalid_definition,
                 "`matrix` must be an object of lists or a list of objects, and is of type " +
                     std::string(type_name(value.type())));
  for (const Member& member : value.as_object()) {
    if (!member.second.is_list())
      return wrong(Code::invalid_definition, "`matrix." + member.first + "` must be a list");
    if (member.first == "include") {
      into.include = member.second.as_list();
    } else if (member.first == "exclude") {
      into.exclude = member.second.as_list();
    } else {
      into.axes.push_back({member.first, member.second.as_list(), {}});
    }
  }
  return {};
}

Status check_objects(const MatrixSpec& matrix) {
  for (const std::vector<Value>* list : {&matrix.include, &matrix.exclude}) {
    if (!std::all_of(list->begin(), list->end(),
                     [](const Value& item) { return item.is_object(); }))
      return wrong(Code::invalid_definition, "`include` and `exclude` must hold objects");
  }
  return {};
}

Result<MatrixSpec> resolve(const MatrixSpec& matrix, const Scope& scope) {
  MatrixSpec resolved = matrix;
  if (!matrix.expression.empty()) {
    const Result<Value> value = evaluate_template(matrix.expression, scope);
    if (!value) return value.error();
    if (const Status taken = take_apart(*value, resolved); !taken) return taken.error();
    if (const Status fine = check_objects(resolved); !fine) return fine.error();
    return resolved;  // what came out of an expression is no template
  }
  for (MatrixAxis& axis : resolved.axes) {
    if (axis.expression.empty()) {
      for (Value& value : axis.values) {
        if (const Status done = fill_in(value, scope); !done) return done.error();
      }
      continue;
    }
    Result<Value> value = evaluate_template(axis.expression, scope);
    if (!value) return value.error();
    if (!value->is_list())
      return wrong(Code::invalid_definition, "`matrix." + axis.name +
                                                 "` must be a list, and is of type " +
                                                 std::string(type_name(value->type())));
    axis.values = std::move(value->as_list());
  }
  for (auto [list, expression] : {std::pair{&resolved.include, &resolved.include_expression},
                                  std::pair{&resolved.exclude, &resolved.exclude_expression}}) {
    for (Value& item : *list) {
      if (const Status done = fill_in(item, scope); !done) return done.error();
    }
    if (expression->empty()) continue;
    Result<Value> value = evaluate_template(*expression, scope);
    if (!value) return value.error();
    if (!value->is_list())
      return wrong(Code::invalid_definition, "`include` and `exclude` must be lists of objects");
    *list = std::move(value->as_list());
  }
  if (const Status fine = check_objects(resolved); !fine) return fine.error();
  return resolved;
}

Error too_many(double count, int limit) {
  constexpr double kCounted = 1e15;  // beyond it a double has no single cells
  const std::string shown =
      count < kCounted ? fmt::format("{:.0f}", count) : fmt::format("{:.0e}", count);
  return wrong(
      Code::limit_exceeded,
      fmt::format("the matrix has {} cells, more than {} (`max_cells` raises that)", shown, limit));
}

// Refuses what would be large before any of it is made.
Status check_size(const MatrixSpec& matrix) {
  if (matrix.axes.size() > kAxesMax)
    return wrong(Code::limit_exceeded, "a matrix has at most 32 axes");
  double count = matrix.axes.empty() ? 0 : 1;
  for (const MatrixAxis& axis : matrix.axes) count *= static_cast<double>(axis.values.size());
  if (count > matrix.max_cells) return too_many(count, matrix.max_cells);
  const double most = static_cast<double>(matrix.max_cells);
  if (static_cast<double>(matrix.include.size()) > most)
    return too_many(static_cast<double>(matrix.include.size()), matrix.max_cells);
  double bytes = 0;
  for (const MatrixAxis& axis : matrix.axes) {
    double values = 0;
    for (const Value& value : axis.values) values += static_cast<double>(weigh(value));
    if (!axis.values.empty()) bytes += values * count / static_cast<double>(axis.values.size());
  }
  double extra = 0;
  for (const Value& item : matrix.include) extra += static_cast<double>(weigh(item));
  bytes += extra * std::max(1.0, count);
  const auto rows = static_cast<double>(matrix.include.size() + matrix.exclude.size());
  const double cells = count + static_cast<double>(matrix.include.size());
  if (bytes > kBytesMax || rows * cells > kComparisonsMax)
    return wrong(Code::limit_exceeded, "the matrix's values are too large or too many in all");
  return {};
}

std::vector<Value> multiply(const MatrixSpec& matrix) {
  std::vector<Value> cells;
  if (matrix.axes.empty()) return cells;
  cells.emplace_back(Object{});
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
      if (!covers(cells[i], on_axes)) continue;
      for (const Member& member : rest.as_object()) cells[i].set(member.first, member.second);
      joined = true;
    }
    if (!joined) cells.push_back(extra);
  }
}
}  // namespace

bool is_static(const MatrixSpec& matrix) {
  return matrix.expression.empty() && matrix.include_expression.empty() &&
         matrix.exclude_expression.empty() &&
         std::all_of(matrix.axes.begin(), matrix.axes.end(),
                     [](const MatrixAxis& axis) {
                       return axis.expression.empty() &&
                              std::none_of(axis.values.begin(), axis.values.end(), has_template);
                     }) &&
         std::none_of(matrix.include.begin(), matrix.include.end(), has_template) &&
         std::none_of(matrix.exclude.begin(), matrix.exclude.end(), has_template);
}

Result<std::vector<Cell>> expand_matrix(const MatrixSpec& matrix, const Scope& scope) {
  Result<MatrixSpec> resolved = resolve(matrix, scope);
  if (!resolved) return resolved.error();
  if (const Status small = check_size(*resolved); !small) return small.error();
  std::vector<Value> values = multiply(*resolved);
  std::erase_if(values, [&](const Value& cell) {
    return std::any_of(resolved->exclude.begin(), resolved->exclude.end(),
                       [&](const Value& pattern) { return covers(cell, pattern); });
  });
  include(*resolved, values);
  if (static_cast<int>(values.size()) > matrix.max_cells)
    return too_many(static_cast<double>(values.size()), matrix.max_cells);
  std::vector<Cell> cells;
  std::set<std::string> labels;
  for (Value& value : values) {
    std::string label = label_of(value);
    if (!labels.insert(label).second)
      return wrong(Code::invalid_definition, "the matrix has the cell " + label + " twice");
    cells.push_back({std::move(label), std::move(value)});
  }
  return cells;
}
}  // namespace mc::lang
