#include "cli/target.h"

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "base/text.h"
#include "cli/yaml_text.h"

namespace mc::cli {
namespace {

std::string without_slash(std::string url) {
  while (!url.empty() && url.back() == '/') url.pop_back();
  return url;
}

Result<std::string> read_token(const std::string& path) {
  Result<std::string> text = read_file(path, 64U << 10);
  if (!text.ok())
    return Error{
        Code::unauthenticated, "the token file cannot be read: " + text.error().message, {}};
  const std::string token(trim(*text));
  if (token.empty()) return Error{Code::unauthenticated, path + " holds no token", {}};
  return token;
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::string local_url(const Io& io) {
  const Result<std::string> text = read_file(data_folder(io) + "/" + kServerFile, 64U << 10);
  if (!text.ok()) return "";
  const Result<Value> server = parse_json(*text);
  return server.ok() ? without_slash(server->string_or("url", "")) : "";
}

std::string local_token_path(const Io& io) { return data_folder(io) + "/" + kAdminTokenFile; }

const NamedContext* context_called(const Contexts& contexts, std::string_view name) {
  for (const NamedContext& context : contexts.items)
    if (context.name == name) return &context;
  return nullptr;
}

// A token for a URL that came without one.
Result<std::string> token_for(const Io& io, const std::string& url) {
  const std::string direct = variable_or(io, "MAESTRO_TOKEN", "");
  if (!direct.empty()) return direct;
  const std::string file = variable_or(io, "MAESTRO_TOKEN_FILE", "");
  if (!file.empty()) return read_token(file);
  Result<Contexts> contexts = load_contexts(io);
  if (!contexts.ok()) return contexts.error();
  for (const NamedContext& context : contexts->items)
    if (context.url == url && !context.token_file.empty()) return read_token(context.token_file);
  if (local_url(io) == url && exists(local_token_path(io))) return read_token(local_token_path(io));
  return Error{Code::unauthenticated, "there is no token for " + url, {}};
}

Result<Target> with_token(const Io& io, std::string url, const std::string& token_file,
                          std::string source) {
  url = without_slash(std::move(url));
  Result<std::string> token = token_file.empty() ? token_for(io, url) : read_token(token_file);
  if (!token.ok()) return token.error();
  return Target{std::move(url), *token, std::move(source)};
}

Result<Target> local_target(const Io& io, const std::string& token_file) {
  const std::string url = local_url(io);
  if (url.empty()) {
    return Error{Code::unreachable,
                 "no server is named, and none was started on this machine (" + data_folder(io) +
                     " has no " + kServerFile + ")",
                 {}};
  }
  return with_token(io, url, token_file.empty() ? local_token_path(io) : token_file, "local");
}

}  // namespace

std::string contexts_path(const Io& io) { return config_folder(io) + "/contexts.yaml"; }

Result<Contexts> load_contexts(const Io& io) {
  Contexts contexts;
  if (!exists(contexts_path(io))) return contexts;
  Result<std::string> text = read_file(contexts_path(io));
  if (!text.ok()) return text.error();
  Result<Value> tree = read_plain_yaml(*text, contexts_path(io));
  if (!tree.ok()) return tree.error();
  contexts.current = tree->string_or("current", "");
  const Value* items = tree->find("contexts");
  if (items == nullptr || !items->is_object()) return contexts;
  for (const auto& [name, value] : items->as_object()) {
    contexts.items.push_back(
        {name, without_slash(value.string_or("url", "")), value.string_or("token_file", "")});
  }
  return contexts;
}

Status save_contexts(const Io& io, const Contexts& contexts) {
  Value items{Object{}};
  for (const NamedContext& context : contexts.items) {
    Value one{Object{}};
    one.set("url", context.url);
    one.set("token_file", context.token_file);
    items.set(context.name, std::move(one));
  }
  Value tree{Object{}};
  tree.set("current", contexts.current);
  tree.set("contexts", std::move(items));
  std::error_code problem;
  std::filesystem::create_directories(config_folder(io), problem);
  if (problem) return Error{Code::usage, config_folder(io) + ": " + problem.message(), {}};
  return write_file(contexts_path(io), to_yaml(tree), true);
}

Result<Target> find_target(const Io& io, const TargetFlags& flags) {
  if (!flags.url.empty()) return with_token(io, flags.url, flags.token_file, "--url");
  if (flags.context.empty()) {
    const std::string url = variable_or(io, "MAESTRO_URL", "");
    if (!url.empty()) return with_token(io, url, flags.token_file, "MAESTRO_URL");
  }
  Result<Contexts> contexts = load_contexts(io);
  if (!contexts.ok()) return contexts.error();
  const std::string name = flags.context.empty() ? contexts->current : flags.context;
  if (name.empty()) return local_target(io, flags.token_file);
  const NamedContext* context = context_called(*contexts, name);
  if (context == nullptr) {
    std::vector<std::string> names;
    for (const NamedContext& one : contexts->items) names.push_back(one.name);
    std::string message = "there is no context `" + name + "`";
    if (const auto near = nearest(name, names)) message += "; did you mean `" + *near + "`?";
    return Error{Code::usage, message, {}};
  }
  return with_token(io, context->url,
                    flags.token_file.empty() ? context->token_file : flags.token_file,
                    "context " + name);
}

}  // namespace mc::cli
