#include <array>
#include <cstdlib>

#include "base/text.h"
#include "bin/doors.h"

namespace mc::bin {
namespace {

constexpr std::size_t kSecretLeast = 32;

struct Needed {
  const char* name;
  bool secret;
};
constexpr std::array<Needed, 3> kNeeded = {
    {{"POSTGRES_URL", false}, {"JWT_SECRET", true}, {"SESSION_SECRET", true}}};

// Names keys, never values.
std::vector<std::string> missing_settings(const cli::Io& io) {
  std::vector<std::string> missing;
  for (const Needed& needed : kNeeded) {
    std::string value = cli::variable_or(io, needed.name, "");
    const std::string file = cli::variable_or(io, std::string(needed.name) + "_FILE", "");
    if (value.empty() && !file.empty()) {
      const Result<std::string> text = cli::read_file(file);
      if (text.ok()) value = std::string(trim(*text));
    }
    if (value.empty()) {
      missing.push_back(std::string(needed.name) + " is not set");
    } else if (needed.secret && value.size() < kSecretLeast) {
      missing.push_back(std::string(needed.name) + " is shorter than 32 bytes");
    }
  }
  return missing;
}

}  // namespace

Result<int> serve(const std::string& /*listen*/, bool /*migrate*/, const cli::Io& io) {
  const std::vector<std::string> missing = missing_settings(io);
  if (!missing.empty())
    return Error{Code::invalid_setting, "serve cannot start: " + join(missing, "; "), {}};
  return Error{Code::invalid_setting,
               "this build keeps its data in SQLite only: it has no PostgreSQL store, which serve "
               "needs; `maestro up` runs a whole server on one machine",
               {}};
}

}  // namespace mc::bin
