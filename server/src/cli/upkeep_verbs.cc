// doctor, migrate, backup, bench.
#include <algorithm>

#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {
constexpr std::int64_t kReplicasMax = 9;  // on one machine
constexpr std::int64_t kShardsMax = 64;

Tone tone_of_level(const std::string& level) {
  return level == "ok" ? Tone::good : level == "warn" ? Tone::warning : Tone::bad;
}

Result<int> doctor(Session& session, const Args& args) {
  const std::vector<DoctorLine> lines =
      session.doors().doctor(args.get("--data", data_folder(session.io())), session.io());
  const bool bad = std::any_of(lines.begin(), lines.end(),
                               [](const DoctorLine& line) { return line.level == "fail"; });
  if (session.for_people()) {
    for (const DoctorLine& line : lines) {
      session.out(session.paint()(tone_of_level(line.level), pad(line.level, 5)) + " " +
                  pad(line.what, 22) + " " + line.found + "\n");
      if (!line.mend.empty()) session.out("      → " + line.mend + "\n");
    }
    return bad ? 1 : 0;
  }
  List items;
  for (const DoctorLine& line : lines) {
    Value item{Object{}};
    item.set("level", line.level);
    item.set("check", line.what);
    item.set("found", line.found);
    item.set("mend", line.mend.empty() ? Value() : Value(line.mend));
    items.push_back(std::move(item));
  }
  Value answer{Object{}};
  answer.set("ok", !bad);
  answer.set("items", std::move(items));
  session.print_list(answer, {}, "check");
  return bad ? 1 : 0;
}

void print_fields(Session& session, const Value& answer, const std::string& key) {
  Table table;
  for (const auto& [name, value] : answer.as_object())
    table.rows.push_back({{name, Tone::dim}, {shown(answer, name)}});
  session.print_one(answer, table, key);
}

Handler migrate(const char* action) {
  return [action](Session& session, const Args& args) -> Result<int> {
    const Result<Value> answer = session.doors().migrate(action, store_folder(session.io(), args));
    if (!answer.ok()) return answer.error();
    print_fields(session, *answer, "schema");
    return 0;
  };
}

Result<int> migrate_shards(Session& session, const Args& args) {
  const Result<std::int64_t> count = args.number("N", 0, 1, kShardsMax);
  if (!count.ok()) return count.error();
  if (!store_folder(session.io(), args).empty())
    return Error{Code::usage, "a data folder has one server: set POSTGRES_URL", {}};
  const Result<Value> answer = session.doors().migrate_shards(static_cast<int>(*count));
  if (!answer.ok()) return answer.error();
  print_fields(session, *answer, "shards");
  return 0;
}

Result<int> backup(Session& session, const Args& args) {
  const std::string data = store_folder(session.io(), args);
  if (data.empty()) {
    return Error{
        Code::invalid_setting,
        "POSTGRES_URL is set: copy a database with PostgreSQL's own pg_dump, or name a data "
        "folder with --data",
        {}};
  }
  Result<Value> answer = session.doors().backup(data, args.get("PATH"));
  if (!answer.ok()) return answer.error();
  print_fields(session, *answer, "path");
  return 0;
}

Result<int> bench(Session& session, const Args& args) {
  BenchOptions options;
  options.names = args.all("NAME");
  options.json = args.has("--json") || !session.for_people();
  options.db_url = args.get("--db");
  const Result<std::int64_t> replicas = args.number("--replicas", 1, 1, kReplicasMax);
  if (!replicas.ok()) return replicas.error();
  if (args.has("--replicas") && options.db_url.empty())
    return Error{Code::usage, "--replicas needs --db: a data folder has one server", {}};
  options.replicas = static_cast<int>(*replicas);
  return session.doors().bench(options);
}

}  // namespace

std::vector<Verb> upkeep_verbs() {
  const Option data{"--data", "", "DIR", "data folder ($XDG_DATA_HOME/maestro)"};
  return {
      {"doctor",
       "Check this machine, the data folder and Redis, and say how to mend what is wrong",
       {},
       {data},
       doctor,
       "Exit code 1 when a check fails."},
      {"migrate status",
       "Show the version of the store's schema, and how many shards it has",
       {},
       {data},
       migrate("status")},
      {"migrate up", "Bring the schema to this build's version", {}, {data}, migrate("up")},
      {"migrate down",
       "Take the last migration back, where it can be",
       {},
       {data},
       migrate("down")},
      {"migrate shards",
       "Share the projects of a PostgreSQL database among its replicas by this many shards",
       {{"N", "1 to 64; each is led by one replica, which may lead several"}},
       {},
       migrate_shards,
       "While no replica runs, and once all are of this release: those of the release before know "
       "of one shard. `maestro migrate status` says how many there are."},
      {"backup",
       "Copy the data folder, whole and consistent, while it is in use",
       {{"PATH", "a folder that does not exist yet"}},
       {data},
       backup},
      {"bench",
       "Measure this build on this machine",
       {{"NAME", "b1 … b12; all when left out", false, true}},
       {{"--json", "", "", "one JSON line a figure"},
        {"--db", "", "URL", "PostgreSQL for b2 to b6: a database for this alone"},
        {"--replicas", "", "N", "servers on it, each with its share of clients and workers (1)"}},
       bench},
  };
}

}  // namespace mc::cli
