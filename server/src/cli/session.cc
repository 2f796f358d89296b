#include "cli/session.h"

#include "base/json.h"
#include "base/text.h"
#include "cli/parse.h"
#include "cli/yaml_text.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

Format format_from(const std::string& name) {
  if (name == "json") return Format::json;
  if (name == "yaml") return Format::yaml;
  if (name == "ndjson") return Format::ndjson;
  return Format::table;
}

std::string_view hint_for(Code code) {
  switch (code) {
    case Code::unreachable:
      return "is a server running? `maestro up` starts one here; --url, MAESTRO_URL or a context "
             "names another";
    case Code::unauthenticated:
      return "set MAESTRO_TOKEN, give --token-file, or add a context with `maestro contexts add`";
    case Code::token_expired: return "an admin makes a new one with `maestro tokens create`";
    case Code::forbidden:
      return "`maestro tokens list` shows the roles; an admin can make a token that may";
    case Code::run_not_found: return "`maestro runs list` shows the runs there are";
    case Code::job_not_found: return "`maestro runs show RUN` shows its jobs";
    case Code::workflow_not_found:
      return "`maestro workflows list` shows those that are stored; `maestro workflows apply FILE` "
             "stores one";
    case Code::run_not_final: return "`maestro runs cancel RUN` ends it first";
    case Code::effects_would_repeat: return "--accept-effects repeats them";
    case Code::data_folder: return "`maestro doctor` checks the folder";
    case Code::store_failed: return "`maestro doctor` checks the folder and the disk";
    case Code::schema_unfit: return "`maestro migrate status` shows what is there";
    default: return "";
  }
}

}  // namespace

Session::Session(const Io& io, const Doors& doors, const Args& args)
    : io_(io),
      doors_(doors),
      format_(format_from(args.get("--output"))),
      quiet_(args.has("--quiet")),
      paint_(paint_for(io, args.has("--no-color"), io.out_terminal)),
      err_paint_(paint_for(io, args.has("--no-color"), io.err_terminal)),
      flags_{args.get("--url"), args.get("--token-file"), args.get("--context")} {}

Result<Server*> Session::server() {
  if (server_) return server_.get();
  Result<Target> target = find_target(io_, flags_);
  if (!target.ok()) return target.error();
  target_ = *target;
  use(doors_.connect(target_.url, target_.token));
  return server_.get();
}

Result<std::unique_ptr<client::Transport>> Session::connect() {
  if (target_.url.empty()) return Error{Code::unreachable, "there is no connection yet", {}};
  return doors_.connect(target_.url, target_.token);
}

void Session::use(std::unique_ptr<client::Transport> transport) {
  server_ = std::make_unique<Server>(std::move(transport));
}

void Session::note(std::string_view text) const {
  if (!quiet_) io_.err(std::string(text) + "\n");
}

void Session::print_value(const Value& value) {
  if (format_ == Format::yaml) {
    out(to_yaml(value));
  } else if (format_ == Format::ndjson) {
    out(to_json(value) + "\n");
  } else {
    out(to_pretty_json(value) + "\n");
  }
}

void Session::print_list(const Value& answer, const std::vector<Column>& columns,
                         const std::string& id) {
  static const List kNone;
  const Value* items = answer.find("items");
  const List& list = items != nullptr && items->is_list() ? items->as_list() : kNone;
  if (quiet_) {
    for (const Value& item : list) out(shown(item, id) + "\n");
    return;
  }
  if (format_ == Format::ndjson) {
    for (const Value& item : list) out(to_json(item) + "\n");
    return;
  }
  if (format_ != Format::table) return print_value(answer);
  Table table;
  for (const Column& column : columns) table.heads.push_back(column.head);
  for (const Value& item : list) {
    std::vector<Cell>& row = table.rows.emplace_back();
    for (const Column& column : columns) {
      Cell cell = column.cell(item);
      cell.text = printable(cell.text);
      row.push_back(std::move(cell));
    }
  }
  out(render_table(table, paint_, io_.out_terminal ? static_cast<std::size_t>(io_.columns) : 0));
}

void Session::print_one(const Value& thing, const Table& rows, const std::string& id) {
  if (quiet_) return out(shown(thing, id) + "\n");
  if (format_ != Format::table) return print_value(thing);
  out(render_table(rows, paint_, io_.out_terminal ? static_cast<std::size_t>(io_.columns) : 0));
}

void print_error(const Io& io, const Paint& paint, const Error& error,
                 const std::string& request_id) {
  std::string text = paint(Tone::bad, "maestro:") + " " + error.message + " (" +
                     std::string(code_name(error.code)) + ")\n";
  // A single problem is often the message itself: said once is enough.
  const bool said = error.problems.size() == 1 && error.problems[0].message == error.message &&
                    error.problems[0].hint.empty() && error.problems[0].line == 0;
  for (const Problem& problem : error.problems) {
    if (said) break;
    text += "  ";
    if (problem.line > 0)
      text += std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": ";
    text += "error[" + problem.code + "]: " + problem.message;
    if (!problem.hint.empty()) text += " (" + problem.hint + ")";
    text += "\n";
  }
  const std::string_view hint = hint_for(error.code);
  if (!hint.empty()) text += "  hint: " + std::string(hint) + "\n";
  if (!request_id.empty()) text += "  request id: " + request_id + "\n";
  io.err(text);
}

int run_main(std::span<const std::string> words, const Io& io, const Doors& doors) {
  Result<CommandLine> line = parse_command_line(words);
  if (!line.ok()) {
    print_error(io, paint_for(io, false, io.err_terminal), line.error(), "");
    return exit_code(line.error().code);
  }
  if (line->verb == nullptr) {
    io.out(line->text);
    return 0;
  }
  Session session(io, doors, line->args);
  const Result<int> done = line->verb->run(session, line->args);
  if (done.ok()) return *done;
  if (io.interrupts->count.load() > 0 && done.error().code == Code::unreachable) return 130;
  const Result<Server*> server = session.url().empty() ? Error{} : session.server();
  print_error(io, session.err_paint(), done.error(), server.ok() ? (*server)->request_id() : "");
  return exit_code(done.error().code);
}

std::string shown(const Value& item, std::string_view field) {
  const Value* value = item.find(field);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return value->as_string();
  if (value->is_list() && !value->as_list().empty() && value->as_list().front().is_string()) {
    std::vector<std::string> texts;
    for (const Value& one : value->as_list())
      texts.push_back(one.is_string() ? one.as_string() : to_json(one));
    return join(texts, ", ");
  }
  return to_json(*value);
}

Cell text_cell(const Value& item, std::string_view field) { return {shown(item, field)}; }

Cell status_cell(const Value& item) {
  const std::string status = item.string_or("status", "");
  std::string text = std::string(sign_of(status)) + " " + status;
  const std::string reason = item.string_or("reason", "");
  if (!reason.empty() && reason != "none") text += " (" + reason + ")";
  return {text, tone_of(status)};
}

Cell ago_cell(const Value& item, std::string_view field, Instant now) {
  const std::optional<Instant> at = parse_rfc3339(item.string_or(field, ""));
  if (!at) return {"", Tone::dim};
  const Millis gap = now - *at;
  const Millis size = gap.count() < 0 ? -gap : gap;
  // Two units are enough to place it: the JSON has the exact time.
  const Millis unit = size >= Millis(86'400'000)  ? Millis(3'600'000)
                      : size >= Millis(3'600'000) ? Millis(60'000)
                                                  : Millis(1'000);
  if (size < unit) return {"just now", Tone::dim};
  const std::string text = format_duration(Millis(size / unit * unit.count()));
  return {gap.count() < 0 ? "in " + text : text + " ago", Tone::dim};
}

Cell duration_cell(const Value& item, std::string_view field) {
  const Value* value = item.find(field);
  if (value == nullptr || !value->is_number()) return {""};
  return {format_duration(Millis(value->as_int()))};
}

std::string store_folder(const Io& io, const Args& args) {
  if (args.has("--data")) return args.get("--data");
  for (const char* name : {"POSTGRES_URL", "POSTGRES_URL_FILE"}) {
    if (!variable_or(io, name, "").empty()) return std::string();
  }
  return data_folder(io);
}

}  // namespace mc::cli
