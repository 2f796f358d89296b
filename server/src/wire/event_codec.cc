#include "wire/event_codec.h"

#include <type_traits>

#include "base/json.h"
#include "wire/event_fields.h"
#include "wire/own_json.h"

namespace mc::wire {
namespace {
template <std::size_t I = 0>
bool make_body(std::string_view type, EventBody& body) {
  if constexpr (I < std::variant_size_v<EventBody>) {
    if (std::variant_alternative_t<I, EventBody>::kType == type) {
      body.emplace<I>();
      return true;
    }
    return make_body<I + 1>(type, body);
  }
  return false;
}

Error unreadable(const std::string& what) {
  return Error{Code::store_failed, "a stored event cannot be read: " + what, {}};
}
}  // namespace

std::string encode_events(const std::vector<Event>& events) {
  JsonWriter out;
  out.open('[');
  for (const Event& event : events) {
    out.open('{').field("seq", event.seq).field("t", event.time.ms).field("type", type_of(event));
    FieldWriter writer{out};
    // The list of fields serves reading too, and so takes them as changeable; writing changes none.
    std::visit(
        [&](const auto& body) { fields(writer, const_cast<std::decay_t<decltype(body)>&>(body)); },
        event.body);
    out.close('}');
  }
  return out.close(']').take();
}

Result<std::vector<Event>> decode_events(std::string_view payload) {
  const Result<Value> list = parse_json(payload, kOwnJson);
  if (!list) return unreadable(list.error().message);
  if (!list->is_list()) return unreadable("no list");
  std::vector<Event> events;
  for (const Value& item : list->as_list()) {
    Event event;
    event.seq = item.int_or("seq", 0);
    event.time = Instant{item.int_or("t", 0)};
    const std::string type = item.string_or("type", "");
    if (!make_body(type, event.body)) {
      return unreadable("type \"" + type + "\" is not known: a newer version wrote it");
    }
    FieldLoader reader{item};
    std::visit([&](auto& body) { fields(reader, body); }, event.body);
    if (!reader.ok) return unreadable("a field of " + type + " has a wrong type");
    events.push_back(std::move(event));
  }
  return events;
}
}  // namespace mc::wire
