// Stored events are for ever: what version 1 wrote is pinned as text.
#include "wire/event_codec.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/text.h"
#include "wire/event_fields.h"

namespace mc::wire {
namespace {

// The file at this path from the repository's root, looked for from here upwards.
std::string read_golden(const std::string& path) {
  std::filesystem::path at = std::filesystem::current_path();
  while (!std::filesystem::exists(at / path) && at != at.parent_path()) at = at.parent_path();
  const Result<std::string> text = read_file((at / path).string(), 1 << 20);
  EXPECT_TRUE(text) << path;
  return text ? *text : "";
}

std::vector<std::string> golden_lines(const std::string& name) {
  std::vector<std::string> lines = split(read_golden("server/tests/golden/events/" + name), '\n');
  std::erase(lines, "");
  return lines;
}

// Gives every field something else than its default, so that it has to be written.
struct FieldFiller {
  std::int64_t next = 1;

  template <class T>
  void operator()(std::string_view name, T& value) {
    fill(name, value);
  }
  template <class T>
  void operator()(std::string_view name, T& value, const std::type_identity_t<T>& usual) {
    fill(name, value);
    if (value == usual) value = T{};
  }
  template <class T>
  void operator()(std::string_view name, T& value, Always) {
    fill(name, value);
  }

  void fill(std::string_view name, Value& v) {
    v = name == "annotations" ? Value(List{Value(Object{{"level", "warning"}})})
                              : Value(Object{{std::string(name), Value(++next)}, {"x", 0.5}});
  }
  void fill(std::string_view name, std::string& v) { v = std::string(name) + " \"é\"\n"; }
  void fill(std::string_view, bool& v) { v = true; }
  template <class Number>
    requires std::is_integral_v<Number>
  void fill(std::string_view, Number& v) {
    v = static_cast<Number>(++next);
  }
  void fill(std::string_view, Instant& v) { v.ms = 1'700'000'000'000 + ++next; }
  void fill(std::string_view, Uuid& v) {
    v = {0x0190'0000'0000'7000ULL, static_cast<std::uint64_t>(++next)};
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void fill(std::string_view, Enum& v) {
    v = static_cast<Enum>(2);
  }
  void fill(std::string_view, std::pair<std::string, std::string>& v) { v = {"name", "value"}; }
  template <class T>
  void fill(std::string_view name, std::optional<T>& v) {
    fill(name, v.emplace());
  }
  template <class T>
  void fill(std::string_view name, std::vector<T>& v) {
    fill(name, v.emplace_back());
    fill(name, v.emplace_back());
  }
  template <class Struct>
    requires requires(Struct s, FieldFiller f) { fields(f, s); }
  void fill(std::string_view, Struct& v) {
    fields(*this, v);
  }
};

template <std::size_t... I>
std::vector<Event> one_of_each(std::index_sequence<I...>) {
  std::vector<Event> events;
  (events.push_back({static_cast<std::int64_t>(I) + 1, Instant{1'700'000'000'000},
                     std::variant_alternative_t<I, EventBody>{}}),
   ...);
  return events;
}
std::vector<Event> one_of_each() {
  return one_of_each(std::make_index_sequence<std::variant_size_v<EventBody>>{});
}

std::vector<Event> one_of_each_filled() {
  std::vector<Event> events = one_of_each();
  for (Event& event : events) {
    FieldFiller filler;
    std::visit([&](auto& body) { fields(filler, body); }, event.body);
  }
  return events;
}

TEST(EventCodec, WritesAndReadsWhatVersionOneWrote) {
  const std::vector<std::string> lines = golden_lines("v1.jsonl");
  const std::vector<Event> events = one_of_each_filled();
  ASSERT_EQ(lines.size(), events.size()) << "an event type without its line in the golden file";
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(encode_events({events[i]}), lines[i]);
    const Result<std::vector<Event>> read = decode_events(lines[i]);
    ASSERT_TRUE(read) << lines[i];
    EXPECT_EQ(encode_events(*read), lines[i]);
  }
}

// Makes every field zero, empty or null, whatever its default.
struct FieldEmptier {
  template <class T, class... Third>
  void operator()(std::string_view, T& value, const Third&...) {
    value = T{};
  }
};

TEST(EventCodec, KeepsWhatIsEmptyApartFromWhatIsUsual) {
  std::vector<Event> events = one_of_each();
  for (Event& event : one_of_each()) {
    FieldEmptier emptier;
    std::visit([&](auto& body) { fields(emptier, body); }, event.body);
    events.push_back(event);
  }
  for (const Event& event : events) {
    const std::string written = encode_events({event});
    const Result<std::vector<Event>> read = decode_events(written);
    ASSERT_TRUE(read) << written;
    EXPECT_EQ(encode_events(*read), written);
  }
  const auto queued = decode_events(encode_events({{1, Instant{2}, RunQueued{.inputs = nullptr}}}));
  EXPECT_TRUE(std::get<RunQueued>((*queued)[0].body).inputs.is_null());
  const auto signal =
      decode_events(encode_events({{1, Instant{2}, SignalReceived{.data = Object{}}}}));
  EXPECT_TRUE(std::get<SignalReceived>((*signal)[0].body).data.is_object());
  const auto asked =
      decode_events(encode_events({{1, Instant{2}, ApprovalRequested{.count = 0, .self = false}}}));
  EXPECT_EQ(std::get<ApprovalRequested>((*asked)[0].body).count, 0);
}

TEST(EventCodec, TakesAbsentFieldsForTheirDefaults) {
  for (const Event& event : one_of_each()) {
    const std::string least =
        "[{\"seq\":1,\"t\":2,\"type\":\"" + std::string(type_of(event)) + "\"}]";
    const Result<std::vector<Event>> read = decode_events(least);
    ASSERT_TRUE(read) << least;
    EXPECT_EQ(encode_events(*read), encode_events({{1, Instant{2}, event.body}}));
  }
  const Result<std::vector<Event>> asked =
      decode_events(R"([{"seq":1,"t":2,"type":"approval.requested"}])");
  ASSERT_TRUE(asked);
  EXPECT_TRUE(std::get<ApprovalRequested>((*asked)[0].body).self);
  EXPECT_EQ(std::get<ApprovalRequested>((*asked)[0].body).count, 1);
}

TEST(EventCodec, IgnoresFieldsThatItDoesNotKnow) {
  const Result<std::vector<Event>> read =
      decode_events(R"([{"seq":4,"t":5,"type":"job.ready","node":2,"job":"a","later":{"x":[1]}}])");
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<JobReady>((*read)[0].body).node, 2U);
}

TEST(EventCodec, StopsAtWhatItCannotRead) {
  for (const char* payload :
       {R"([{"seq":1,"t":2,"type":"run.teleported"}])", R"([{"seq":1,"t":2}])",
        R"([{"seq":1,"t":2,"type":"job.ready","node":"two"}])",
        R"([{"seq":1,"t":2,"type":"job.ready","node":-1}])",
        R"([{"seq":1,"t":2,"type":"run.finished","status":"splendid"}])",
        R"([{"seq":1,"t":2,"type":"run.queued","labels":[["only"]]}])", "{}", "[1]", "[", ""}) {
    const Result<std::vector<Event>> read = decode_events(payload);
    ASSERT_FALSE(read) << payload;
    EXPECT_EQ(read.error().code, Code::store_failed);
  }
  const auto unknown = decode_events(R"([{"seq":1,"t":2,"type":"run.teleported"}])");
  EXPECT_NE(unknown.error().message.find("run.teleported"), std::string::npos);
}

// docs/internals/events.md tells of every type and every field, and of no other type.
struct FieldNames {
  std::set<std::string> names;
  template <class T>
  void operator()(std::string_view name, T&) {
    names.emplace(name);
  }
  template <class T, class Third>
  void operator()(std::string_view name, T&, const Third&) {
    names.emplace(name);
  }
};

TEST(EventCodec, IsDocumented) {
  const std::string page = read_golden("docs/internals/events.md");
  for (Event& event : one_of_each()) {
    const std::string heading = "\n### " + std::string(type_of(event)) + "\n";
    const std::size_t start = page.find(heading);
    ASSERT_NE(start, std::string::npos) << heading;
    const std::string section = page.substr(start, page.find("\n### ", start + 1) - start);
    FieldNames collect;
    std::visit([&](auto& body) { fields(collect, body); }, event.body);
    for (const std::string& name : collect.names)
      EXPECT_NE(section.find("`" + name + "`"), std::string::npos) << heading << name;
  }
}
}  // namespace
}  // namespace mc::wire
