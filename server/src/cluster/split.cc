#include "cluster/split.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "cluster/shards.h"
#include "wire/own_json.h"
#include "wire/task_codec.h"

namespace mc::cluster {
namespace {
constexpr int kFirstError = 400;
constexpr int kServerError = 500;
constexpr int kNotFound = 404;
constexpr std::int64_t kMaxOfComplete = 100'000;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Walks over JSON text without making values of it.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}
  // Takes `c`, after white space.
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // One value, after white space; empty at a closing bracket, a comma and the end.
  std::string_view value() {
    skip_space();
    const std::size_t begin = at_;
    int depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        skip_string();
        if (depth == 0) break;
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      const bool closes = c == '}' || c == ']';
      if (depth == 0 && (closes || c == ',' || c == ':' || is_space(c))) break;
      ++at_;
      if (closes && --depth == 0) break;
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    at_ = std::min(at_ + 1, text_.size());
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

std::optional<std::vector<std::string_view>> read_items(std::string_view list) {
  Walker walker(list);
  std::vector<std::string_view> items;
  if (!walker.take('[')) return std::nullopt;
  if (walker.take(']')) return items;
  do {
    items.push_back(walker.value());
    if (items.back().empty()) return std::nullopt;
  } while (walker.take(','));
  if (!walker.take(']')) return std::nullopt;
  return items;
}

std::string code_of(const http::Response& answer) {
  const Result<Value> body = parse_json(answer.body, wire::kOwnJson);
  return body ? body->string_or("code", "") : "";
}

// The part that a task belongs to; nullopt: all.
std::optional<std::size_t> part_of(std::string_view task_id, int shards) {
  const std::optional<int> shard = shard_of_task(task_id);
  if (shards == 1) return 0;
  if (!shard || *shard >= shards) return std::nullopt;
  return static_cast<std::size_t>(*shard);
}

void add_item(std::string& list, const Value& item) {
  if (!list.empty()) list += ',';
  list += to_json(item);
}

void write_list(JsonWriter& out, std::string_view name, const std::set<std::string>& texts) {
  out.key(name).open('[');
  for (const std::string& text : texts) out.item(text);
  out.close(']');
}

// Calls `see` with each item of the list `name`.
template <class See>
void each_of(const Value& body, std::string_view name, See see) {
  const Value* list = body.find(name);
  if (list == nullptr || !list->is_list()) return;
  for (const Value& item : list->as_list()) see(item);
}

Value summed(const Value& a, const Value& b) {
  if (a.is_int() && b.is_int()) return a.as_int() + b.as_int();
  if (a.is_number() && b.is_number()) return a.as_double() + b.as_double();
  return a;
}

std::size_t rank_of(const std::string& status) {
  static const std::vector<std::string> kOrder = {"draining", "busy", "idle", "lost"};
  return static_cast<std::size_t>(std::ranges::find(kOrder, status) - kOrder.begin());
}

void add_worker(Value& known, const Value& other) {
  const auto take_text = [&](std::string_view name, auto is_better) {
    const std::string theirs = other.string_or(name, "");
    if (is_better(theirs, known.string_or(name, ""))) known.set(name, theirs);
  };
  // Times are written in one form, of one length: they sort as text.
  take_text("last_seen_at", [](const std::string& a, const std::string& b) { return a > b; });
  take_text("registered_at", [](const std::string& a, const std::string& b) { return a < b; });
  take_text("status",
            [](const std::string& a, const std::string& b) { return rank_of(a) < rank_of(b); });
  if (const Value* running = other.find("running"))
    known.set("running", summed(known.int_or("running", 0), *running));
  const Value* more = other.find("in_use");
  const Value* in_use = known.find("in_use");
  if (more == nullptr || !more->is_object() || in_use == nullptr || !in_use->is_object()) return;
  Value sum = *in_use;
  for (const auto& [name, value] : more->as_object()) {
    const Value* before = sum.find(name);
    sum.set(name, before == nullptr ? value : summed(*before, value));
  }
  known.set("in_use", std::move(sum));
}
}  // namespace

std::optional<std::vector<std::string_view>> items_of(std::string_view json,
                                                      std::string_view name) {
  Walker walker(json);
  if (!walker.take('{')) return std::nullopt;
  if (walker.take('}')) return std::vector<std::string_view>();
  const std::string wanted = '"' + std::string(name) + '"';
  do {
    const std::string_view key = walker.value();
    if (key.size() < 2 || key.front() != '"' || !walker.take(':')) return std::nullopt;
    const std::string_view value = walker.value();
    if (value.empty()) return std::nullopt;
    if (key == wanted) return read_items(value);
  } while (walker.take(','));
  if (!walker.take('}')) return std::nullopt;
  return std::vector<std::string_view>();
}

std::string tasks_body(const std::vector<std::string>& tasks) {
  std::size_t size = 16;
  for (const std::string& task : tasks) size += task.size() + 1;
  std::string body;
  body.reserve(size);
  body += "{\"tasks\":[";
  for (const std::string& task : tasks) {
    if (body.back() != '[') body += ',';
    body += task;
  }
  return body += "]}";
}

bool is_good(const http::Response& answer) { return answer.status < kFirstError; }
bool is_failure(const http::Response& answer) { return answer.status >= kServerError; }
bool is_worker_not_found(const http::Response& answer) {
  return answer.status == kNotFound && code_of(answer) == code_name(Code::worker_not_found);
}

bool is_unavailable(const http::Response& answer) {
  return is_failure(answer) && code_of(answer) == code_name(Code::unavailable);
}

bool says_draining(const http::Response& answer) {
  return std::ranges::any_of(answer.headers, [](const http::Header& header) {
    return header.name == wire::kDrainingHeader;
  });
}

std::optional<wire::Next> next_of(const http::Response& answer) {
  for (const http::Header& header : answer.headers)
    if (header.name == wire::kNextHeader) return wire::decode_next(header.value);
  return std::nullopt;
}

const http::Response* refusal_of(const std::vector<std::optional<http::Response>>& answers) {
  const http::Response* unknown = nullptr;
  for (const auto& answer : answers) {
    if (!answer || is_good(*answer) || is_failure(*answer)) continue;
    if (!is_worker_not_found(*answer)) return &*answer;
    if (unknown == nullptr) unknown = &*answer;
  }
  return unknown;
}

const http::Response* failure_of(const std::vector<std::optional<http::Response>>& answers) {
  for (const auto& answer : answers) {
    if (answer && is_failure(*answer)) return &*answer;
  }
  return nullptr;
}

std::string members_but(const Value& body, const std::vector<std::string_view>& names) {
  std::string out;
  for (const auto& [name, value] : body.as_object()) {
    if (std::ranges::find(names, name) != names.end()) continue;
    if (!out.empty()) out += ',';
    JsonWriter key;
    out += key.string(name).take() + ':' + to_json(value);
  }
  return out;
}

std::optional<Parts> split(std::string_view body, std::string_view list, int shards) {
  const Result<Value> read = parse_json(body);
  if (!read || !read->is_object()) return std::nullopt;
  Parts parts;
  parts.worker_id = read->string_or("worker_id", "");
  const Value* max = read->find("max");
  if (parts.worker_id.empty() || (max != nullptr && !max->is_int() && !max->is_null()))
    return std::nullopt;
  if (max != nullptr && max->is_int())
    parts.max = static_cast<int>(std::clamp<std::int64_t>(max->as_int(), 0, kMaxOfComplete));
  if (const Value* holds = read->find("holds")) parts.holds = to_json(*holds);
  JsonWriter worker;
  parts.poll_members = "\"worker_id\":" + worker.string(parts.worker_id).take();
  if (!parts.holds.empty()) parts.poll_members += ",\"holds\":" + parts.holds;
  const auto count = static_cast<std::size_t>(shards);
  std::vector<std::string> lists(count);
  const Value* items = read->find(list);
  if (items != nullptr && !items->is_list() && !items->is_null()) return std::nullopt;
  static const List kNone;
  for (const Value& item : items != nullptr && items->is_list() ? items->as_list() : kNone) {
    const Value* id = item.find("task_id");
    if (id == nullptr || !id->is_string()) return std::nullopt;
    const auto part = part_of(id->as_string(), shards);
    if (part) {
      add_item(lists[*part], item);
      continue;
    }
    for (std::string& each : lists) add_item(each, item);
  }
  // What the request says of new tasks is for the poll that follows.
  const std::string others = members_but(*read, {list, "max", "holds"});
  for (const std::string& each : lists) {
    parts.has_some.push_back(!each.empty());
    parts.bodies.push_back("{" + others + ",\"" + std::string(list) + "\":[" + each + "]}");
  }
  return parts;
}

std::string merge_heartbeats(const std::vector<std::string>& answers, int shards) {
  std::set<std::string> cancel, lost;
  std::map<std::string, int> said_lost;
  for (const std::string& answer : answers) {
    const Result<Value> body = parse_json(answer, wire::kOwnJson);
    if (!body) continue;
    each_of(*body, "cancel", [&](const Value& id) {
      if (id.is_string()) cancel.insert(id.as_string());
    });
    each_of(*body, "lost", [&](const Value& id) {
      if (id.is_string()) ++said_lost[id.as_string()];
    });
  }
  for (const auto& [id, times] : said_lost) {
    if (part_of(id, shards) || times == shards) lost.insert(id);
  }
  JsonWriter out;
  out.open('{');
  write_list(out, "cancel", cancel);
  write_list(out, "lost", lost);
  return out.close('}').take();
}

std::string merge_completions(const std::vector<std::string>& answers,
                              const std::vector<std::string>& tasks) {
  std::set<std::string> accepted;
  std::map<std::string, std::string> rejected;
  for (const std::string& answer : answers) {
    const Result<Value> body = parse_json(answer, wire::kOwnJson);
    if (!body) continue;
    each_of(*body, "accepted", [&](const Value& id) {
      if (id.is_string()) accepted.insert(id.as_string());
    });
    each_of(*body, "rejected", [&](const Value& no) {
      rejected.emplace(no.string_or("task_id", ""), no.string_or("code", ""));
    });
  }
  JsonWriter out;
  out.open('{');
  write_list(out, "accepted", accepted);
  out.key("rejected").open('[');
  for (const auto& [id, code] : rejected) {
    if (accepted.contains(id)) continue;
    out.open('{').field("task_id", id).field("code", code).close('}');
  }
  out.close(']').key("tasks").open('[');
  for (const std::string& task : tasks) out.raw(task);
  return out.close(']').close('}').take();
}

List merge_workers(const std::vector<List>& lists) {
  std::map<std::string, Value> workers;
  for (const List& list : lists) {
    for (const Value& worker : list) {
      const auto [known, is_new] = workers.try_emplace(worker.string_or("id", ""), worker);
      if (!is_new) add_worker(known->second, worker);
    }
  }
  List merged;
  merged.reserve(workers.size());
  for (auto& [id, worker] : workers) merged.push_back(std::move(worker));
  return merged;
}

std::optional<std::int64_t> integer_of(const Value& body, std::string_view name,
                                       std::int64_t fallback, std::int64_t min, std::int64_t max) {
  const Value* given = body.find(name);
  if (given == nullptr || given->is_null()) return fallback;
  if (!given->is_int() || given->as_int() < min || given->as_int() > max) return std::nullopt;
  return given->as_int();
}

std::string holds_of(const Value& body) {
  const Value* holds = body.find("holds");
  return holds == nullptr ? "" : to_json(*holds);
}

}  // namespace mc::cluster
