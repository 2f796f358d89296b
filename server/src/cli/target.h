// Which server a verb talks to, and with which token.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/io.h"

namespace mc::cli {

struct Target {
  std::string url;
  std::string token;
  std::string source;  // where it was found, for messages
};

struct TargetFlags {
  std::string url;
  std::string token_file;
  std::string context;
};

// Flags first, then MAESTRO_URL with MAESTRO_TOKEN (or MAESTRO_TOKEN_FILE), then --context or the
// current context, then the local data folder. A token missing beside a URL is looked for in
// MAESTRO_TOKEN, in a context of that URL, and in the local data folder when its server has that
// URL. Errors: usage (a bad file or name), unauthenticated (no token), unreachable (no server
// known).
Result<Target> find_target(const Io& io, const TargetFlags& flags);

struct NamedContext {
  std::string name;
  std::string url;
  std::string token_file;
};
struct Contexts {
  std::string current;
  std::vector<NamedContext> items;
};
// Empty when there is no file. Errors: usage, naming the line.
Result<Contexts> load_contexts(const Io& io);
Status save_contexts(const Io& io, const Contexts& contexts);
std::string contexts_path(const Io& io);

// What `maestro up` writes beside its data, for the CLI on the same machine: {url, pid}.
inline constexpr const char* kServerFile = "server.json";
inline constexpr const char* kAdminTokenFile = "admin.token";

}  // namespace mc::cli
