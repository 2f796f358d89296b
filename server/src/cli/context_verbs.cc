// contexts add, use, list.
#include <filesystem>

#include "base/text.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

Value value_of(const Contexts& contexts, const NamedContext& context) {
  Value item{Object{}};
  item.set("name", context.name);
  item.set("url", context.url);
  item.set("token_file", context.token_file);
  item.set("current", context.name == contexts.current);
  return item;
}

Result<int> add(Session& session, const Args& args) {
  if (!is_name(args.get("NAME")))
    return Error{Code::usage, "a context's name has only a-z, 0-9, `.`, `_` and `-`", {}};
  if (!args.has("--url")) return Error{Code::usage, "--url is missing", {}};
  Result<Contexts> contexts = load_contexts(session.io());
  if (!contexts.ok()) return contexts.error();
  std::erase_if(contexts->items,
                [&](const NamedContext& one) { return one.name == args.get("NAME"); });
  std::error_code ignored;
  const std::string token = args.get("--token-file");
  contexts->items.push_back(
      {args.get("NAME"), args.get("--url"),
       token.empty() ? "" : std::filesystem::absolute(token, ignored).string()});
  if (contexts->current.empty() || args.has("--use")) contexts->current = args.get("NAME");
  if (Status saved = save_contexts(session.io(), *contexts); !saved.ok()) return saved.error();
  Table table;
  table.rows.push_back({{"added", Tone::good}, {args.get("NAME")}, {args.get("--url"), Tone::dim}});
  session.print_one(value_of(*contexts, contexts->items.back()), table, "name");
  return 0;
}

Result<int> use(Session& session, const Args& args) {
  Result<Contexts> contexts = load_contexts(session.io());
  if (!contexts.ok()) return contexts.error();
  for (const NamedContext& one : contexts->items) {
    if (one.name != args.get("NAME")) continue;
    contexts->current = one.name;
    if (Status saved = save_contexts(session.io(), *contexts); !saved.ok()) return saved.error();
    Table table;
    table.rows.push_back({{"now"}, {one.name}, {one.url, Tone::dim}});
    session.print_one(value_of(*contexts, one), table, "name");
    return 0;
  }
  std::vector<std::string> names;
  for (const NamedContext& one : contexts->items) names.push_back(one.name);
  return Error{Code::usage,
               "there is no context `" + args.get("NAME") + "`; there are: " + join(names, ", "),
               {}};
}

Result<int> list(Session& session, const Args&) {
  Result<Contexts> contexts = load_contexts(session.io());
  if (!contexts.ok()) return contexts.error();
  List items;
  for (const NamedContext& one : contexts->items) items.push_back(value_of(*contexts, one));
  Value answer{Object{}};
  answer.set("items", std::move(items));
  session.print_list(
      answer,
      {{"", [](const Value& item) { return Cell{item.bool_or("current", false) ? "*" : " "}; }},
       {"NAME", [](const Value& item) { return text_cell(item, "name"); }},
       {"URL", [](const Value& item) { return text_cell(item, "url"); }},
       {"TOKEN FILE", [](const Value& item) { return text_cell(item, "token_file"); }}},
      "name");
  return 0;
}

}  // namespace

std::vector<Verb> context_verbs() {
  return {
      {"contexts add",
       "Name a server, with --url and --token-file",
       {{"NAME", "what to call it"}},
       {{"--use", "", "", "talk to it from now on"}},
       add,
       "Contexts are kept in contexts.yaml in $XDG_CONFIG_HOME/maestro. The first one added is "
       "used."},
      {"contexts use", "Talk to another server from now on", {{"NAME", "a context"}}, {}, use},
      {"contexts list", "List contexts", {}, {}, list},
  };
}

}  // namespace mc::cli
