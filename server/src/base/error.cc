#include "base/error.h"

#include <array>

namespace mc {
namespace {
struct Row {
  std::string_view name;
  int status;
  int exit;
  std::string_view title;
};
constexpr std::array kRows = {
#define X(code, status, exit, title) Row{#code, status, exit, title},
    MC_ERROR_CODES(X)
#undef X
};
const Row& row(Code code) { return kRows.at(static_cast<std::size_t>(code)); }
}  // namespace

std::string_view code_name(Code code) { return row(code).name; }
std::string_view code_title(Code code) { return row(code).title; }
int http_status(Code code) { return row(code).status; }
int exit_code(Code code) { return row(code).exit; }

Code code_from_name(std::string_view name, Code fallback) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows.at(i).name == name) return static_cast<Code>(i);
  }
  return fallback;
}
}  // namespace mc
