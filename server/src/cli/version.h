// The version of this build; CMakeLists.txt names the same (a test compares).
#pragma once

namespace mc::cli {
inline constexpr const char* kVersion = "0.1.0";
}  // namespace mc::cli
