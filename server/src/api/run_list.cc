// GET /runs: rows of the store, joined as they are.
#include "api/body.h"
#include "api/call.h"
#include "api/cursor.h"
#include "api/handlers.h"
#include "api/query.h"
#include "base/json.h"
#include "conductor/render.h"

namespace mc::api {
namespace {
constexpr std::string_view kList = "runs";

Result<std::int64_t> read_before(const std::string& cursor) {
  const Result<std::string> after = read_cursor(kList, cursor);
  if (!after) return after.error();
  if (after->empty()) return 0;
  const auto number = read_integer(*after, 1, INT64_MAX);
  if (!number) return Error{Code::invalid_cursor, "the cursor names no run", {}};
  return *number;
}

void list(const Call& call, const RunFilter& filter, int limit) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  std::string next;
  if (!filter.nothing) {
    auto rows = call.service().store().list_runs(filter.query);
    if (!rows) return call.fail(rows.error());
    const std::size_t shown = std::min(rows->size(), static_cast<std::size_t>(limit));
    for (std::size_t i = 0; i < shown; ++i) {
      out.raw(conductor::with_time_taken(std::move((*rows)[i].json), call.now()));
    }
    if (rows->size() > shown) next = make_cursor(kList, std::to_string((*rows)[shown - 1].number));
  }
  out.close(']').text_or_null("next_cursor", next).close('}');
  call.json(out.take());
}
}  // namespace

void list_runs(const CallPtr& call) {
  const Result<int> limit = read_limit(*call);
  if (!limit) return call->fail(limit.error());
  Result<RunFilter> filter = parse_run_query(call->query("q"));
  if (!filter) return call->fail(filter.error());
  const Result<std::int64_t> before = read_before(call->query("cursor"));
  if (!before) return call->fail(before.error());
  filter->query.project = call->principal.project;
  filter->query.before_number = *before;
  filter->query.limit = *limit + 1;  // one more tells whether there is a next page
  offload(call,
          [call, filter = std::move(*filter), limit = *limit] { list(*call, filter, limit); });
}
}  // namespace mc::api
