#include "base/check.h"
#include "base/json.h"
#include "lang/expression.h"

namespace {
mc::lang::Scope scope() {
  static const mc::Value inputs = *mc::parse_json(
      R"({"s":"text","n":1.5,"b":true,"z":null,"l":[1,"a",[]],"o":{"a":{"b":[0]}}})");
  mc::lang::Scope scope;
  scope.context = [](std::string_view root) { return root == "inputs" ? &inputs : nullptr; };
  scope.hash_files = [](const std::vector<std::string>& globs) {
    return mc::Result<std::string>(std::string(64, globs.empty() ? '0' : '1'));
  };
  return scope;
}
void check_code(const mc::Error& error) {
  MC_CHECK(error.code == mc::Code::invalid_expression && !error.message.empty());
}
}  // namespace

// Expressions are bounded and total: a value of at most 1 MiB or one kind of error, and the same
// value each time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto value = mc::lang::evaluate(text, scope());
  if (!value.ok()) {
    check_code(value.error());
  } else {
    const auto again = mc::lang::evaluate(text, scope());
    MC_CHECK(again.ok() && mc::to_json(*again) == mc::to_json(*value));
  }
  const auto condition = mc::lang::evaluate_condition(text, scope());
  if (!condition.ok()) check_code(condition.error());
  const auto rendered = mc::lang::evaluate_text(text, scope());
  if (!rendered.ok()) check_code(rendered.error());
  return 0;
}
