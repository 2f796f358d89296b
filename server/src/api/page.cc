#include "api/page.h"

#include <algorithm>

#include "api/cursor.h"
#include "base/json.h"
#include "wire/own_json.h"

namespace mc::api {
namespace {
struct Page {
  std::string list, key, after;
  std::size_t limit = 0;
};

void show(const Call& call, const Page& page, const std::string& whole) {
  const Result<Value> body = parse_json(whole, wire::kOwnJson);
  if (!body) return call.fail(body.error());
  static const List kNone;
  const Value* found = body->find("items");
  const List& items = found != nullptr && found->is_list() ? found->as_list() : kNone;
  const auto name = [&](const Value& item) { return item.string_or(page.key, ""); };
  // Also right when what the cursor names is gone.
  auto at = std::ranges::upper_bound(items, page.after, {}, name);
  if (page.after.empty()) at = items.begin();
  const auto end = at + std::min(static_cast<std::ptrdiff_t>(page.limit), items.end() - at);
  const std::string next =
      end == items.end() || end == at ? "" : make_cursor(page.list, name(*(end - 1)));
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (; at != end; ++at) out.value(*at);
  call.json(out.close(']').text_or_null("next_cursor", next).close('}').take());
}
}  // namespace

void answer_page(const CallPtr& call, std::string_view list, std::string_view key,
                 const std::function<void(conductor::Done<std::string>)>& whole) {
  const Result<int> limit = read_limit(*call);
  if (!limit) return call->fail(limit.error());
  const Result<std::string> after = read_cursor(list, call->query("cursor"));
  if (!after) return call->fail(after.error());
  Page page{std::string(list), std::string(key), *after, static_cast<std::size_t>(*limit)};
  whole([call, page = std::move(page)](const Result<std::string>& all) {
    all ? show(*call, page, *all) : call->fail(all.error());
  });
}
}  // namespace mc::api
