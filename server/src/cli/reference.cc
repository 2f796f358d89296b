#include "cli/reference.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/text.h"
#include "base/uuid.h"
#include "base/value.h"

namespace mc::cli {
namespace {

constexpr std::size_t kPrefixLeast = 4;

bool all_of(std::string_view text, int (*test)(int)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [test](char c) {
    return test(static_cast<unsigned char>(c)) != 0;
  });
}

bool is_id_text(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == '-';
  });
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string url_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

Error bad_reference(std::string_view text) {
  return Error{Code::usage,
               "`" + std::string(text) +
                   "` names no run: give an id, the first 4 or more "
                   "characters of one, #NUMBER, @latest, or a console address",
               {}};
}

Result<RunReference> parse_address(std::string_view text) {
  std::string_view path = text.substr(0, text.find_first_of("?"));
  // A console that routes by fragment keeps its path behind the #.
  const std::size_t runs = path.rfind("/runs/");
  if (runs == std::string_view::npos) return bad_reference(text);
  path.remove_prefix(runs + 6);
  const std::string_view id = path.substr(0, path.find_first_of("/#"));
  Result<RunReference> found = parse_reference(id);
  if (!found.ok()) return bad_reference(text);
  const std::size_t job = path.find("/jobs/");
  if (job != std::string_view::npos) {
    std::string_view key = path.substr(job + 6);
    key = key.substr(0, key.find_first_of("/#"));
    found->job = url_decode(key);
  }
  return found;
}

Result<RunReference> parse_number(std::string_view digits, std::string_view whole) {
  RunReference found{.kind = RunReference::Kind::number, .text = {}, .number = 0, .job = {}};
  const auto [end, problem] =
      std::from_chars(digits.data(), digits.data() + digits.size(), found.number);
  if (problem != std::errc() || end != digits.data() + digits.size() || found.number <= 0)
    return bad_reference(whole);
  return found;
}

Error not_found(std::string_view text) {
  return Error{Code::run_not_found, "there is no run `" + std::string(text) + "`", {}};
}

std::string latest_path(const std::string& workflow) {
  std::string path = "/api/v1/runs?limit=1";
  if (!workflow.empty()) path += "&q=" + percent_encode("workflow:" + workflow);
  return path;
}

Result<FoundRun> find_latest(Server& server, const std::string& workflow) {
  Result<Value> answer = server.get(latest_path(workflow));
  if (!answer.ok()) return answer.error();
  const Value* items = answer->find("items");
  if (items == nullptr || !items->is_list() || items->as_list().empty()) {
    return Error{
        Code::run_not_found,
        workflow.empty() ? "there are no runs yet" : "there is no run of `" + workflow + "`",
        {}};
  }
  return FoundRun{items->as_list().front().string_or("id", ""), ""};
}

struct Search {
  const RunReference& wanted;
  std::vector<std::string> found;
  bool over = false;

  void look_at(const Value& run) {
    const std::string id = run.string_or("id", "");
    if (wanted.kind == RunReference::Kind::number) {
      const std::int64_t number = run.int_or("number", 0);
      if (number == wanted.number) found.push_back(id);
      over = over || number <= wanted.number;  // newest first: the rest is older
    } else if (id.starts_with(wanted.text)) {
      found.push_back(id);
    }
  }
};

Result<FoundRun> search(Server& server, const RunReference& wanted, std::string_view text) {
  Search search{wanted, {}, false};
  std::string cursor;
  for (int seen = 0; seen < kRunsSearchedMax && !search.over;) {
    std::string path = "/api/v1/runs?limit=100";
    if (!cursor.empty()) path += "&cursor=" + percent_encode(cursor);
    Result<Value> page = server.get(path);
    if (!page.ok()) return page.error();
    const Value* items = page->find("items");
    if (items == nullptr || !items->is_list()) break;
    for (const Value& run : items->as_list()) search.look_at(run);
    seen += static_cast<int>(items->as_list().size());
    cursor = page->string_or("next_cursor", "");
    if (cursor.empty()) break;
  }
  if (search.found.empty()) return not_found(text);
  if (search.found.size() > 1) {
    return Error{Code::conflict,
                 "`" + std::string(text) + "` names " + std::to_string(search.found.size()) +
                     " runs: give more characters",
                 {}};
  }
  return FoundRun{search.found.front(), ""};
}

}  // namespace

Result<RunReference> parse_reference(std::string_view text, bool with_job) {
  if (text.starts_with("http://") || text.starts_with("https://")) return parse_address(text);
  const std::size_t slash = with_job ? text.find('/') : std::string_view::npos;
  if (slash != std::string_view::npos) {
    Result<RunReference> found = parse_reference(text.substr(0, slash));
    if (found.ok()) found->job = std::string(text.substr(slash + 1));
    return found;
  }
  if (text.starts_with("#")) return parse_number(text.substr(1), text);
  if (text == "@latest" || text.starts_with("@latest:")) {
    RunReference latest{.kind = RunReference::Kind::latest, .text = {}, .number = 0, .job = {}};
    if (text.size() > 8) latest.text = std::string(text.substr(8));
    return latest;
  }
  if (parse_uuid(text)) return RunReference{RunReference::Kind::id, to_lower(text), 0, ""};
  if (all_of(text, std::isdigit) && text.size() < kPrefixLeast) return parse_number(text, text);
  if (!is_id_text(text) || text.size() < kPrefixLeast || text.size() > 36)
    return bad_reference(text);
  return RunReference{RunReference::Kind::prefix, to_lower(text), 0, ""};
}

Result<FoundRun> find_run(Server& server, std::string_view text, bool with_job) {
  const Result<RunReference> wanted = parse_reference(text, with_job);
  if (!wanted.ok()) return wanted.error();
  Result<FoundRun> found = FoundRun{wanted->text, ""};
  if (wanted->kind == RunReference::Kind::latest) {
    found = find_latest(server, wanted->text);
  } else if (wanted->kind != RunReference::Kind::id) {
    found = search(server, *wanted, text);
  }
  if (found.ok()) found->job = wanted->job;
  return found;
}

std::string run_path(const std::string& id) { return "/api/v1/runs/" + percent_encode(id); }

std::string job_path(const std::string& id, const std::string& key) {
  return run_path(id) + "/jobs/" + percent_encode(key);
}

}  // namespace mc::cli
