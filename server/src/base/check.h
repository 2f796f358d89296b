// Assertions that stay on in release. A failed check is a bug in this program, never bad input:
// anything a user can cause is an Error (base/error.h).
#pragma once

namespace mc {
// Prints the condition with its place to standard error and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace mc

#define MC_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::mc::check_failed(#condition, __FILE__, __LINE__))
