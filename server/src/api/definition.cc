#include "api/definition.h"

#include <fmt/format.h>
#include <malloc.h>

namespace mc::api {
namespace {
constexpr std::size_t kLargeText = 128 << 10;  // below it a tree is small, and trimming costs more
}

lang::Parsed parse_definition(const std::string& text, const lang::ParseOptions& options) {
  lang::Parsed parsed = lang::parse_workflow(text, options);
  if (text.size() > kLargeText) ::malloc_trim(0);
  return parsed;
}

Error bad_definition(const std::vector<Problem>& errors) {
  return {Code::invalid_definition,
          fmt::format("the definition has {} error{}; the first: line {}: {}", errors.size(),
                      errors.size() == 1 ? "" : "s", errors.front().line, errors.front().message),
          errors};
}

}  // namespace mc::api
