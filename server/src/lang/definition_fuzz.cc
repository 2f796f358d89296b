#include "base/check.h"
#include "lang/parse.h"

namespace {
// YAML has more ends of lines than most: CR alone, NEL, LS and PS too.
int count_lines(const std::string& text) {
  int lines = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view(text).substr(i, 3);
    if (text[i] == '\n' || text[i] == '\r' || rest.starts_with("\xc2\x85") ||
        rest == "\xe2\x80\xa8" || rest == "\xe2\x80\xa9")
      ++lines;
  }
  return lines;
}
}  // namespace

// Definitions are text from anywhere: each is refused with positions inside of it, or understood; a
// job that was understood is understood again by the worker it is sent to.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const mc::lang::Parsed parsed = mc::lang::parse_workflow(text);
  const int lines = count_lines(text);
  for (const auto* problems : {&parsed.errors, &parsed.warnings}) {
    for (const mc::Problem& problem : *problems) {
      MC_CHECK(problem.line >= 1 && problem.line <= lines + 1);
      MC_CHECK(problem.column >= 1);
      MC_CHECK(!problem.code.empty() && !problem.message.empty());
    }
  }
  (void)mc::lang::render_problems("f.yaml", text, parsed.errors, "error", false);
  if (!parsed.ok()) return 0;
  MC_CHECK(!parsed.spec.jobs.empty());
  return 0;
}
