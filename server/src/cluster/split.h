// Requests of the worker protocol taken apart by whose the tasks are, and answers put together.
// Pure. JSON that is passed on stays as it was written, as far as that goes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "http/message.h"
#include "wire/offer.h"

namespace mc::cluster {

// The items of the list `name` in the JSON object `json`, as they stand there; empty when there is
// no such member. nullopt: this is not an object with such a list. Requires nothing: text that is
// no JSON gives nullopt or some of its pieces.
std::optional<std::vector<std::string_view>> items_of(std::string_view json, std::string_view name);
// {"tasks":[…]}
std::string tasks_body(const std::vector<std::string>& tasks);

// What an answer of a shard means to the one who asked all of them.
bool is_good(const http::Response& answer);     // 2xx
bool is_failure(const http::Response& answer);  // the shard is away or in trouble: ask again
bool is_worker_not_found(const http::Response& answer);
bool is_unavailable(const http::Response& answer);  // by its code: no shard that is away says so
bool says_draining(const http::Response& answer);   // of a poll: its worker drains
// What the shard would give next; nullopt: it does not say.
std::optional<wire::Next> next_of(const http::Response& answer);
// The refusal that counts when some were refused: the first that another try does not mend
// (401, 422, …), else worker_not_found, else none.
const http::Response* refusal_of(const std::vector<std::optional<http::Response>>& answers);
// The first failure, or none.
const http::Response* failure_of(const std::vector<std::optional<http::Response>>& answers);

// A heartbeat or completion: `list` is "tasks" or "results". Parts are by shard; what names no
// shard is in all of them. Other members are copied to each, but `max` and
// `holds`, which are about new tasks.
struct Parts {
  std::string worker_id;
  std::vector<std::string> bodies;
  std::vector<bool> has_some;  // whether a part holds anything
  int max = 0;
  std::string holds;         // JSON, as given; "" when it was not
  std::string poll_members;  // of the poll for new tasks: worker_id and holds
};
// nullopt: not what the protocol says; a shard will say what is wrong.
std::optional<Parts> split(std::string_view body, std::string_view list, int shards);

// Of good answers to parts, of which some may be missing: cancel, when one says so; lost, when all
// of `shards` who were asked for that task say so.
std::string merge_heartbeats(const std::vector<std::string>& answers, int shards);
// Of good answers to all parts: accepted by one, else rejected. `tasks` are put in.
std::string merge_completions(const std::vector<std::string>& answers,
                              const std::vector<std::string>& tasks);

// One list of workers from those of all shards, by id: running, in_use: the sum; last_seen_at: the
// newest; registered_at: the oldest; status: draining, busy, idle, lost, the first that is said.
List merge_workers(const std::vector<List>& lists);

// The integer member `name`, `fallback` when it is absent; nullopt: something else, or out of
// bounds.
std::optional<std::int64_t> integer_of(const Value& body, std::string_view name,
                                       std::int64_t fallback, std::int64_t min, std::int64_t max);
// `holds` as JSON; "" when there is none.
std::string holds_of(const Value& body);

// A body's members, but those named, as `"a":1,"b":2`; "" when there are none.
std::string members_but(const Value& body, const std::vector<std::string_view>& names);

}  // namespace mc::cluster
