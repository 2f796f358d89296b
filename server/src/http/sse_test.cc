#include "http/sse.h"

#include <gtest/gtest.h>

namespace mc::http {
namespace {

std::string show(const std::vector<SseEvent>& events) {
  std::string out;
  for (const SseEvent& each : events)
    out += "[" + each.id + "|" + each.event + "|" + each.data + "]";
  return out;
}

TEST(Sse, GivesTheSameEventsHoweverTheBodyIsCut) {
  const std::pair<std::string, std::string> table[] = {
      {"data: a\n\n", "[||a]"},
      {"data:a\n\ndata:  b\n\n", "[||a][|| b]"},
      {"id: 1\nevent: e\ndata: a\ndata: b\n\n", "[1|e|a\nb]"},
      {"id: 1\ndata: a\n\ndata: b\n\n", "[1||a][1||b]"},
      {"event: e\n\ndata: a\n\n", "[||a]"},
      {": keep-alive\n\ndata\n\n", "[||]"},
      {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[||a][||b][||c]"},
      {"\xef\xbb\xbf"
       "data: a\n\n",
       "[||a]"},
      {"other: x\ndata: a:b\n\n", "[||a:b]"},
      {"data: unfinished\n", ""},
      {std::string("id: a\0b\ndata: x\n\n", 17), "[||x]"},
  };
  for (const auto& [body, events] : table) {
    for (std::size_t step = 1; step <= body.size(); ++step) {
      SseParser parser;
      std::vector<SseEvent> got;
      for (std::size_t at = 0; at < body.size(); at += step) {
        for (SseEvent& each : parser.feed(std::string_view(body).substr(at, step)))
          got.push_back(std::move(each));
      }
      ASSERT_EQ(show(got), events) << body << " by " << step;
    }
  }
}

TEST(Sse, CutsOffWhatGrowsWithoutEnd) {
  SseParser parser;
  const std::string line = "data: " + std::string(9 << 20, 'x') + "\n";
  EXPECT_TRUE(parser.feed(line).empty());
  EXPECT_TRUE(parser.feed(line).empty());
  const auto events = parser.feed("\n");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data.size(), SseParser::kEventBytesMax);
}

}  // namespace
}  // namespace mc::http
